"""The triage data that ships: 23.6k texts, how 14 to 99 people rated each, and the fixed split.

Made by `python -m distill.triage_data` from the sdist of vaderSentiment 2.5 (MIT; see NOTICE).
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cached_property
from pathlib import Path
from typing import Literal

from serving.triage.task import Answer, gold

DATA_FILE = Path(__file__).with_name("feedback.jsonl.gz")

RATINGS = range(-4, 5)
"""The raters' scale, extremely negative to extremely positive."""


class Split(Enum):
    """What a text is for.

    Train: gold labels and distillation. Calibration: choosing layers, thresholds, everything one
    decides by looking. Shadow: traffic for live comparisons. Test: figures that are stated.
    """

    TRAIN = "train"
    CALIBRATION = "calibration"
    SHADOW = "shadow"
    TEST = "test"


SHARES = {Split.TRAIN: 0.72, Split.CALIBRATION: 0.08, Split.SHADOW: 0.10, Split.TEST: 0.10}
"""Share of the documents that falls into each part."""


OPEN = frozenset({Split.TRAIN, Split.CALIBRATION, Split.SHADOW})
"""The parts that anyone may load."""


class Source(StrEnum):
    """Where a text comes from."""

    MOVIE = "movie"
    AMAZON = "amazon"
    NYT = "nyt"
    TWEET = "tweet"


class TestPurpose(StrEnum):
    """The two readers of the test part; there is no third."""

    __test__ = False  # pytest would take the name for a test's

    TOUR = "tour"
    EVALUATION = "evaluation"


class SealedSplit(PermissionError):
    """The test part was asked for where only development happens."""


class BrokenData(ValueError):
    """The shipped data file is not the one this code was released with."""


@dataclass(frozen=True)
class Feedback:
    """One rated text."""

    id: str
    document: str
    """The review or article it was cut from; a split never cuts through a document."""
    source: Source
    text: str
    rating_counts: tuple[int, ...]
    """How many raters gave -4, -3, … +4; raters are anonymous and have no order."""

    @cached_property
    def ratings(self) -> tuple[int, ...]:
        """Every rater's rating, sorted."""
        return tuple(
            rating
            for rating, count in zip(RATINGS, self.rating_counts, strict=True)
            for _ in range(count)
        )

    @cached_property
    def mean_rating(self) -> float:
        """Mean of the ratings, -4 to +4."""
        return sum(self.ratings) / len(self.ratings)

    @cached_property
    def rater_spread(self) -> float:
        """Standard deviation of the ratings: large where people themselves disagree."""
        mean = self.mean_rating
        return (sum((r - mean) ** 2 for r in self.ratings) / len(self.ratings)) ** 0.5

    @property
    def gold(self) -> Answer:
        """The right answer."""
        return gold(self.mean_rating)

    @property
    def split(self) -> Split:
        """The part it belongs to."""
        return split_of(self.document)


def split_of(document: str) -> Split:
    """The part of a document: a hash of its name, so that it never depends on order or size."""
    digest = hashlib.sha256(document.encode()).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SHARES.items():
        if point < share:
            return split
        point -= share
    return Split.TEST


def load(split: Literal[Split.TRAIN, Split.CALIBRATION, Split.SHADOW]) -> list[Feedback]:
    """The texts of one part, in file order.

    Raises `SealedSplit` for the test part: whoever tunes on it makes every stated figure a lie.
    """
    if split not in OPEN:
        raise SealedSplit(
            "Split.TEST is sealed: develop on CALIBRATION; tour and evaluation call open_test()"
        )
    return [item for item in _read() if item.split is split]


def open_test(purpose: TestPurpose) -> list[Feedback]:
    """The held-out part, for the two purposes that may see it."""
    if not isinstance(purpose, TestPurpose):
        known = [p.value for p in TestPurpose]
        raise SealedSplit(f"open_test: purpose={purpose!r} is none of {known}")
    return [item for item in _read() if item.split is Split.TEST]


def _read() -> Iterator[Feedback]:
    """Every text of the shipped file. Raises `BrokenData` on a line that does not fit."""
    with gzip.open(DATA_FILE, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                yield Feedback(
                    id=row["id"],
                    document=row["id"].partition("_")[0],
                    source=Source(row["id"].partition("-")[0]),
                    text=row["text"],
                    rating_counts=tuple(row["counts"]),
                )
            except (KeyError, TypeError, ValueError) as error:
                raise BrokenData(f"{DATA_FILE}:{number}: {error}; reinstall tutelage") from error
