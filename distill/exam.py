"""Candidate, incumbent and teacher on the same texts: figures of each, and their differences.

Differences are paired, text by text. Intervals are two-sided 95 %: Wilson's for shares, and for
everything else, and all differences, the bootstrap's over texts (percentiles), the same resamples
for both students. Right, wrong and alike are of labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from router.deferral import Bools, Floats, NoContrast, auroc
from router.interval import Interval, wilson_interval
from router.reliability import mean_gap, reliability

_CHUNK = 250
_BINS = 10


class NothingToCompare(ValueError):
    """There is no text that all were asked about; the text says whose answers are missing."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One model's answer to one text. label: None if it is no answer. gold: None if not known.

    seconds: None where it was not timed.
    """

    id: str
    label: str | None
    confidence: float
    seconds: float | None
    gold: str | None


@dataclass(frozen=True, slots=True)
class Paper:
    """A student's answers beside the teacher's, one entry a text. seconds: NaN where not timed."""

    label: tuple[str | None, ...]
    confidence: Floats
    valid: Bools
    alike: Bools
    known: Bools
    right: Bools
    seconds: Floats

    def __len__(self) -> int:
        return len(self.label)


def paper(student: Sequence[Marked], teacher: Sequence[Marked]) -> Paper:
    """Matched by id, in the order of the teacher's. Raises NothingToCompare."""
    by_id = {each.id: each for each in student}
    missing = [each.id for each in teacher if each.id not in by_id]
    if missing or not teacher:
        raise NothingToCompare(
            f"{len(missing)} of {len(teacher)} texts have no answer: {missing[:3]}"
        )
    rows = [(by_id[each.id], each) for each in teacher]
    return Paper(
        label=tuple(mine.label for mine, _ in rows),
        confidence=np.array([mine.confidence for mine, _ in rows]),
        valid=np.array([mine.label is not None for mine, _ in rows]),
        alike=np.array([mine.label is not None and mine.label == its.label for mine, its in rows]),
        known=np.array([mine.gold is not None for mine, _ in rows]),
        right=np.array([mine.label is not None and mine.label == mine.gold for mine, _ in rows]),
        seconds=np.array([np.nan if mine.seconds is None else mine.seconds for mine, _ in rows]),
    )


def accuracy(on: Paper) -> float:
    return float(on.right[on.known].mean()) if on.known.any() else float("nan")


def fidelity(on: Paper) -> float:
    return float(on.alike.mean())


def validity(on: Paper) -> float:
    return float(on.valid.mean())


def ranking(on: Paper) -> float:
    """AUROC of confidence for agreement; NaN where all agree, or none."""
    try:
        return auroc(on.confidence, on.alike)
    except NoContrast:
        return float("nan")


def miscalibration(on: Paper) -> float:
    """Expected calibration error: the mean gap of confidence and agreement in ten equal bins."""
    return mean_gap(reliability(on.confidence, on.alike.astype(float), np.ones(len(on)), _BINS))


def coverage_at(max_risk: float) -> Callable[[Paper], float]:
    """The largest share that could be served with at most this share of it unlike the teacher's."""

    def coverage(on: Paper) -> float:
        order = np.argsort(-on.confidence, kind="stable")
        sure, wrong = on.confidence[order], np.cumsum(~on.alike[order])
        served = np.arange(1, len(order) + 1)
        whole = np.append(sure[1:] < sure[:-1], True)  # equal confidences are served together
        fits = whole & (wrong <= max_risk * served)
        return float(served[fits].max() / len(order)) if fits.any() else 0.0

    return coverage


def median_seconds(on: Paper) -> float:
    timed = on.seconds[~np.isnan(on.seconds)]
    return float(np.median(timed)) if len(timed) else float("nan")


Figure = Callable[[Paper], float]

SHARES = {
    "accuracy": lambda on: on.right[on.known],
    "fidelity": lambda on: on.alike,
    "validity": lambda on: on.valid,
}
"""Figures that are shares of texts, and those texts."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both students. difference: the candidate's less the incumbent's.

    p: of McNemar's exact test, two-sided, that the two shares are the same; None for no shares.
    """

    candidate: Interval
    incumbent: Interval
    difference: Interval
    p: float | None = None


def compare(
    candidate: Paper, incumbent: Paper, *, max_risk: float, resamples: int, seed: int = 0
) -> dict[str, Compared]:
    """Every figure that promotion looks at, but those there is nothing to take from."""
    figures: Mapping[str, Figure] = {
        "accuracy": accuracy,
        "fidelity": fidelity,
        "validity": validity,
        "auroc": ranking,
        "calibration_error": miscalibration,
        "coverage": coverage_at(max_risk),
        "median_seconds": median_seconds,
    }
    drawn = _drawn(len(candidate), resamples, seed)
    found = {name: _compared(name, of, candidate, incumbent, drawn) for name, of in figures.items()}
    return {name: each for name, each in found.items() if not isnan(each.difference.lower)}


def _compared(
    name: str, of: Figure, candidate: Paper, incumbent: Paper, drawn: npt.NDArray[np.intp]
) -> Compared:
    ours = np.array([of(_part(candidate, rows)) for rows in drawn])
    theirs = np.array([of(_part(incumbent, rows)) for rows in drawn])
    found = [
        Interval(of(candidate), *_percentiles(ours)),
        Interval(of(incumbent), *_percentiles(theirs)),
    ]
    if name in SHARES:
        found = [
            _wilson(SHARES[name](on), usual)
            for on, usual in zip((candidate, incumbent), found, strict=True)
        ]
    difference = of(candidate) - of(incumbent)
    return Compared(
        found[0],
        found[1],
        Interval(difference, *_percentiles(ours - theirs)),
        _mcnemar(SHARES[name](candidate), SHARES[name](incumbent)) if name in SHARES else None,
    )


def _wilson(right: Bools, usual: Interval) -> Interval:
    return wilson_interval(float(right.mean()), len(right)) if len(right) else usual


def _mcnemar(ours: Bools, theirs: Bools) -> float:
    """Exact: of the texts where the two part, each is as likely to be right (McNemar, 1947)."""
    gained, lost = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    parted = gained + lost
    if not parted:
        return 1.0
    at = np.arange(min(gained, lost) + 1)
    log_choose = _log_factorial(parted) - _log_factorial(at) - _log_factorial(parted - at)
    return float(min(1.0, 2.0 * np.exp(log_choose - parted * np.log(2.0)).sum()))


def _log_factorial(of: int | npt.NDArray[np.intp]) -> Floats:
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, np.max(of) + 1)))])
    found: Floats = table[of]
    return found


def _drawn(texts: int, resamples: int, seed: int) -> npt.NDArray[np.intp]:
    return np.random.default_rng(seed).integers(0, texts, (resamples, texts))


def _part(on: Paper, rows: npt.NDArray[np.intp]) -> Paper:
    return Paper(
        on.label,
        on.confidence[rows],
        on.valid[rows],
        on.alike[rows],
        on.known[rows],
        on.right[rows],
        on.seconds[rows],
    )


def _percentiles(of: Floats) -> tuple[float, float]:
    if np.isnan(of).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(of, [0.025, 0.975])
    return float(low), float(high)
