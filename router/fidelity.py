"""Fidelity: the share of pairs that agree, with its interval."""

from collections.abc import Iterable
from dataclasses import dataclass

from router.interval import wilson_interval


@dataclass(frozen=True, slots=True)
class Fidelity:
    """estimate, and the ends of its 95 % interval, in [0, 1]; judged: the pairs behind it."""

    estimate: float
    low: float
    high: float
    judged: int


def estimate_fidelity(pairs: Iterable[tuple[float, float]]) -> Fidelity | None:
    """From (agreement in [0, 1], propensity in (0, 1]) of each judged pair; None without pairs.

    The estimate weighs each pair by 1/propensity (Hájek): a pair drawn with probability 0.05 stands
    for twenty requests. The interval is Wilson's at Kish's effective number of pairs,
    (sum w)^2 / sum w^2, which is the plain count when all propensities are equal.
    """
    weights, weighted, squares, judged = 0.0, 0.0, 0.0, 0
    for agreement, propensity in pairs:
        if not 0.0 < propensity <= 1.0:
            raise ValueError(f"propensity must be in (0, 1], got {propensity}")
        weight = 1.0 / propensity
        weights += weight
        weighted += weight * agreement
        squares += weight * weight
        judged += 1
    if not judged:
        return None
    estimate = weighted / weights
    found = wilson_interval(estimate, weights * weights / squares)
    return Fidelity(estimate, found.lower, found.upper, judged)
