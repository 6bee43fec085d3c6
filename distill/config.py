"""What a round is told: the rules of each step, and the TOML file that may have other values."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError

from distill.asking import Teacher
from distill.curate import CurationRules
from distill.harvest import HarvestRules
from distill.label import LabelRules
from distill.promotion import PromotionRules
from serving.checked import Checked

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class BadSettings(ValueError):
    """A key is unknown or a value out of range; the text names it."""


class HoldoutRules(Checked):
    """traces: the share of texts that is set apart. gold, choosing: how many texts of the task's
    checked set the exam has, and on how many the threshold is chosen; 0 is all.
    """

    traces: Share = 0.1
    gold: Annotated[int, Field(ge=0)] = 0
    choosing: Annotated[int, Field(ge=0)] = 0


class TrainRules(Checked):
    """old_share: of the original training part, what is mixed in, lest it be forgotten.

    harvest_times: how often each harvested row comes. workers: threads.
    """

    old_share: Share = 0.25
    harvest_times: Count = 2
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    workers: Count = 2
    seed: int = 0


class ExamRules(Checked):
    """max_risk: of the coverage that is compared. at_once: requests in flight; 1 to time them."""

    max_risk: Share = 0.02
    bootstrap: Count = 1000
    at_once: Count = 1
    threads: Count = 2
    slack: Share = 0.005
    """How far below the teacher's accuracy the cascade at the new threshold may lie."""


class Settings(Checked):
    """A round's whole settings file; each table is optional."""

    holdout: HoldoutRules = HoldoutRules()
    harvest: HarvestRules = HarvestRules()
    curate: CurationRules = CurationRules()
    label: LabelRules = LabelRules()
    teacher: Teacher | None = None
    train: TrainRules = TrainRules()
    exam: ExamRules = ExamRules()
    promote: PromotionRules = PromotionRules()

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """The defaults where there is no file. Raises BadSettings."""
        if path is None:
            return cls()
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(each) for each in first["loc"])
            raise BadSettings(f"{path}: {where}: {first['msg']}") from error
        except (OSError, ValueError) as error:
            raise BadSettings(f"{path}: {error}") from error
