"""How a task's students are made and asked: what the loop needs done and does not do itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distill.config import ExamRules, TrainRules
from distill.exam import Marked
from distill.rows import Row
from distill.task import ExamText


@dataclass(frozen=True, slots=True)
class Model:
    """What a model is served from."""

    weights: Path
    adapter: Path | None = None


class Craft(Protocol):
    """incumbent: the file that the next student is trained from, and that shapes it."""

    incumbent: Path

    def train(
        self,
        train: Sequence[Row],
        valid: Sequence[Row],
        rules: TrainRules,
        out: Path,
        *,
        clock: Callable[[], float],
    ) -> None:
        """Leaves `student.gguf`, which is served, `student-delta.gguf`, which the next round
        begins with, and `losses.json`; a checkpoint of a cut attempt is gone on from. Raises
        Refused.
        """

    def models(self, candidate: Path, cache: Path) -> tuple[Model, Model, Model]:
        """Candidate, incumbent and teacher, ready to be served."""

    def answers(
        self, model: Model, texts: Sequence[ExamText], cache: Path, rules: ExamRules
    ) -> list[Marked]:
        """In the order of the texts; what the same model has answered before is not asked again."""

    def seconds(
        self, models: Sequence[Model], texts: Sequence[ExamText], rules: ExamRules
    ) -> list[list[float]]:
        """Of each model, for each text, one at a time; models take turns, so that other work on
        the machine falls on all of them.
        """
