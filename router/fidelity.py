"""Fidelity: the share of pairs that agree, with its interval."""

from collections.abc import Iterable
from dataclasses import dataclass

from router.interval import wilson_interval

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Fidelity:
    """estimate, and the ends of its 95 % interval, in [0, 1]; judged: the pairs behind it."""

    estimate: float
    low: float
    high: float
    judged: int


def estimate_fidelity(pairs: Iterable[tuple[float, float]]) -> Fidelity | None:
    """From (agreement in [0, 1], propensity in (0, 1]) of each judged pair; None without pairs.

    The estimate weighs each pair by 1/propensity (Hajek): a pair drawn with probability 0.05 stands
    for twenty requests. The interval is Wilson's at the effective number of pairs, which is the
    plain count when all propensities are equal: Kish's (sum w)^2 / sum w^2; or, where the pairs of
    much weight are those that vary, phi (1 - phi) / variance of the estimate, which is less.
    """
    weights, weighted, squares, judged = 0.0, 0.0, 0.0, 0
    first_moment, second_moment = 0.0, 0.0  # of agreement, by squared weight
    for agreement, propensity in pairs:
        if not 0.0 < propensity <= 1.0:
            raise ValueError(f"propensity must be in (0, 1], got {propensity}")
        weight = 1.0 / propensity
        weights += weight
        weighted += weight * agreement
        squares += weight * weight
        first_moment += weight * weight * agreement
        second_moment += weight * weight * agreement * agreement
        judged += 1
    if not judged:
        return None
    estimate = min(1.0, weighted / weights)
    effective = weights * weights / squares
    spread = second_moment - 2 * estimate * first_moment + estimate * estimate * squares
    if spread > _ROUNDING * squares:
        effective = min(effective, estimate * (1 - estimate) * weights * weights / spread)
    found = wilson_interval(estimate, effective)
    return Fidelity(estimate, found.lower, found.upper, judged)
