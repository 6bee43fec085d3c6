"""How good a cascade is on judged answers: intervals, ranking quality, the deferral curve.

Arrays have one entry a request; `confidence` is any score that should be high where the student
is right.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ONE_SIDED_95 = 1.645
"""Standard errors."""


class NoContrast(ValueError):
    """All answers are right, or all wrong: nothing to rank."""


@dataclass(frozen=True, slots=True)
class DeferralPoint:
    """What the cascade does at one threshold: the student serves where confidence ≥ threshold."""

    threshold: float
    coverage: float
    """Share served by the student."""
    accuracy: float
    """Share of right answers, both models together."""
    selective_accuracy: float
    """Share of right answers among those the student served; NaN if it served none."""


def auroc(confidence: Floats, right: Bools) -> float:
    """P(a right answer has more confidence than a wrong one), ties counting half.

    The Mann-Whitney statistic from mid-ranks. Raises `NoContrast` if one side is empty.
    """
    positives = int(right.sum())
    negatives = len(right) - positives
    if positives == 0 or negatives == 0:
        raise NoContrast(f"auroc needs right and wrong answers, got {positives} and {negatives}")
    _, which, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mid_rank[which][right].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def area_under_agreement(confidence: Floats, agrees: Bools) -> float:
    """Mean over all shares deferred, 0 to 1, of the share answered as the teacher would.

    The least confident go first, equals in random order. With mu the share that differs, a wrong
    answer is kept until the share deferred reaches its rank, so the area is
    1 - mu (mu/2 + (1 - mu)(1 - AUROC)): at random 1 - mu/2, for an oracle 1 - mu^2/2.
    Raises NoContrast.
    """
    differs = 1.0 - float(agrees.mean())
    missed = 1.0 - auroc(confidence, agrees)
    return 1.0 - differs * (differs / 2 + (1.0 - differs) * missed)


def share_of_oracle(confidence: Floats, agrees: Bools) -> float:
    """What `area_under_agreement` gains over random, as a share of what an oracle gains.

    That is 2 AUROC - 1, whatever the share that differs: 0 at random, 1 for the oracle.
    """
    return 2.0 * auroc(confidence, agrees) - 1.0


def at_threshold(
    confidence: Floats, student_right: Bools, teacher_right: Bools, threshold: float
) -> DeferralPoint:
    """The cascade at one threshold."""
    served = confidence >= threshold
    right = np.where(served, student_right, teacher_right)
    selective = float(student_right[served].mean()) if served.any() else float("nan")
    return DeferralPoint(threshold, float(served.mean()), float(right.mean()), selective)


def lowest_safe_threshold(
    confidence: Floats, student_right: Bools, teacher_right: Bools, *, slack: float
) -> float | None:
    """The lowest threshold in steps of .01 whose cascade is surely within `slack` of the teacher:
    the one-sided 95 % bound of their paired difference says so. None if none below 1 is.

    The lowest of many that pass, so somewhat less sure than 95 %.
    """
    for step in range(34, 100):
        threshold = step / 100
        serves = confidence >= threshold
        gained = np.where(serves, student_right.astype(float) - teacher_right, 0.0)
        least = gained.mean() - _ONE_SIDED_95 * gained.std() / len(gained) ** 0.5
        if least >= -slack:
            return threshold
    return None


def deferral_curve(
    confidence: Floats, student_right: Bools, teacher_right: Bools, deferrals: list[float]
) -> list[DeferralPoint]:
    """The cascade when the given shares of requests, the least confident, go to the teacher.

    A share between two requests is rounded; requests of equal confidence stay together, so the
    coverage of a point may differ from 1 - share.
    """
    ordered = np.sort(confidence)
    points = []
    for share in deferrals:
        at = round(share * len(ordered))
        threshold = float(ordered[at]) if at < len(ordered) else float("inf")
        points.append(at_threshold(confidence, student_right, teacher_right, threshold))
    return points


def area_under_deferral(points: list[DeferralPoint]) -> float:
    """Mean accuracy over the share deferred, first point to last, by the trapezoid rule."""
    deferred = np.array([1 - point.coverage for point in points])
    accuracy = np.array([point.accuracy for point in points])
    order = np.argsort(deferred)
    width = deferred[order][-1] - deferred[order][0]
    return float(np.trapezoid(accuracy[order], deferred[order]) / width)
