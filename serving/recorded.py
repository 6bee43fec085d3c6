"""The figures that were recorded when the embedded models were made, on the whole test part."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from serving.triage.manifest import MANIFEST_FILE


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Interval(_Figures):
    """A share with its 95 % interval."""

    estimate: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.estimate:.0%} ({self.lower:.0%} to {self.upper:.0%})"


class AtThreshold(_Figures):
    """The cascade at the threshold that ships."""

    coverage: float
    accuracy: float


class Recorded(_Figures):
    """Accuracy on labels of the shipped pair."""

    texts: int
    student: Interval
    teacher: Interval
    at_threshold: AtThreshold

    def __str__(self) -> str:
        return (
            f"Recorded on all {self.texts} texts of the test part: student {self.student}, "
            f"teacher {self.teacher}, cascade {self.at_threshold.accuracy:.0%} "
            f"at {self.at_threshold.coverage:.0%} coverage."
        )


def recorded_figures(manifest: Path = MANIFEST_FILE) -> Recorded | None:
    """None for a release whose test part was never evaluated."""
    try:
        figures = json.loads(manifest.read_text(encoding="utf-8"))["figures"]
        return Recorded.model_validate(figures["test"])
    except (OSError, ValueError, KeyError):  # pydantic's ValidationError is a ValueError
        return None
