"""One text that a student may learn from, as it goes from step to step: a JSON object a line."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec


class Why(StrEnum):
    """Why a trace was harvested, the weightiest reason first.

    imported: a row of somebody's file or log. agreement: both models said the same; a sample, so
    that the student does not forget what it can.
    """

    CORRECTION = "correction"
    NEGATIVE_FEEDBACK = "negative_feedback"
    DIVERGENCE = "divergence"
    FALLBACK = "fallback"
    LOW_CONFIDENCE = "low_confidence"
    IMPORTED = "imported"
    AGREEMENT = "agreement"


class LabelledBy(StrEnum):
    """Whose answer the student is to learn."""

    HUMAN = "human"
    TEACHER = "teacher"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """student, teacher, correction: whole answers; None where there is none.

    weight: how many requests this one stands for, 1 / the probability with which its kind was
    looked at. answer, by: what is to be learnt, once the label step has run. odds: the teacher's
    probabilities of each symbol that decides, where it was asked for them.
    """

    trace_id: str
    ts: float
    text: str
    why: Why
    weight: float = 1.0
    student: str | None = None
    teacher: str | None = None
    correction: str | None = None
    confidence: float | None = None
    answer: str | None = None
    by: LabelledBy | None = None
    odds: tuple[tuple[float, ...], ...] = ()

    @property
    def said(self) -> str | None:
        """What it would be labelled with: a person's word before the teacher's."""
        return self.correction if self.correction is not None else self.teacher


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Row)


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Raises OSError."""
    with path.open("wb") as file:
        file.writelines(_encoder.encode(row) + b"\n" for row in rows)


def read_rows(path: Path) -> list[Row]:
    """What `write_rows` wrote. Raises OSError."""
    return [_decoder.decode(line) for line in path.read_bytes().splitlines()]
