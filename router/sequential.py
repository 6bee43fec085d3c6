"""Is the candidate worse than the incumbent? A test that may be looked at after every pair.

A pair is a judged request of each arm, and its difference the candidate's agreement less the
incumbent's, in [-1, 1]. Two gamblers bet, one that the candidate is worse, one that it is not worse
by `margin`. Where the opposite is true no bet gains on average, so by Ville's inequality the
capital ever exceeds 1/alpha with probability alpha at most: whenever one looks, however often.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from router.deferral import Floats
from router.evidence import Record, agreement_of
from router.interval import Interval
from router.sampling import is_sampled

_BETS = np.arange(1, 17) / 17
_GRID = np.linspace(-1.0, 1.0, 401)
_ENOUGH = 20
"""Pairs before which a forecast would be a guess."""


class Verdict(StrEnum):
    """harm: the candidate is worse. success: it is not worse by the margin. Else undecided."""

    HARM = "harm"
    SUCCESS = "success"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Contest:
    """at: the pair after which the verdict fell, or all. difference: mean, with bounds that hold at
    every look at once. more_pairs: after which success may be expected, if it goes on like this;
    None where it may not be, or too little is known.
    """

    verdict: Verdict
    at: int
    pairs: int
    difference: Interval
    more_pairs: int | None


def contest(differences: Floats, *, margin: float, alpha: float) -> Contest:
    """In the order in which they came; the first verdict stands. No pairs: undecided."""
    if not (0.0 <= margin < 1.0 and 0.0 < alpha < 1.0):
        raise ValueError(f"margin must be in [0, 1), alpha in (0, 1), got {margin} and {alpha}")
    enough = -math.log(alpha)
    worse = log_capital(differences, 0.0, up=False) >= enough
    no_worse = log_capital(differences, -margin, up=True) >= enough
    fell = np.flatnonzero(worse | no_worse)
    at = int(fell[0]) + 1 if len(fell) else len(differences)
    verdict = Verdict.UNDECIDED
    if len(fell):
        verdict = Verdict.HARM if worse[fell[0]] else Verdict.SUCCESS
    more = None if len(fell) else _forecast(differences, margin, enough)
    return Contest(verdict, at, len(differences), bounds(differences, alpha), more)


def log_capital(differences: Floats, mean: float, *, up: bool) -> Floats:
    """After each pair, of who bets that the mean difference is above `mean` (up), or below it; from
    1, the mean over sixteen stakes. The last axis is time.
    """
    change = differences - mean if up else mean - differences
    stakes = _BETS / (1.0 + mean if up else 1.0 - mean)  # so that no pair takes all
    with np.errstate(divide="ignore"):
        grown = np.cumsum(np.log1p(np.multiply.outer(stakes, change)), axis=-1)
    most = grown.max(axis=0)
    return np.asarray(most + np.log(np.exp(grown - most).mean(axis=0)))


def bounds(differences: Floats, alpha: float) -> Interval:
    """A confidence sequence's last interval: the means that neither gambler, at alpha/2 each, has
    ever refuted (Waudby-Smith and Ramdas 2024), on a grid of 0.005, rounded outwards.
    """
    if not len(differences):
        return Interval(0.0, -1.0, 1.0)
    enough = math.log(2.0 / alpha)

    def stands(mean: float, *, up: bool) -> bool:
        return bool((log_capital(differences, mean, up=up) < enough).all())

    # Capital falls as the mean that is bet against rises, since (d - m) / (1 + m) does.
    inner = _GRID[1:-1].tolist()
    low = bisect_left(inner, True, key=lambda mean: stands(mean, up=True))  # noqa: FBT003
    high = bisect_left(inner, True, key=lambda mean: not stands(mean, up=False))  # noqa: FBT003
    return Interval(float(differences.mean()), float(_GRID[low]), float(_GRID[high + 1]))


def pair_up(incumbent: Sequence[Record], candidate: Sequence[Record], comparator: str) -> Floats:
    """Differences of the arms' judged requests, the n-th of one with the n-th of the other.

    Deferrals are all judged and of what the student served only some: of those judged more often
    than the rarest, so many are left out, by a hash, that all were judged alike.
    """
    judged = [
        [
            (exchange.trace_id, exchange.propensity, agreement)
            for exchange, judgements in arm
            if exchange.propensity
            and (agreement := agreement_of(judgements, comparator)) is not None
        ]
        for arm in (incumbent, candidate)
    ]
    rarest = min((propensity for arm in judged for _, propensity, _ in arm), default=1.0)
    kept = [
        [
            agreement
            for trace_id, propensity, agreement in arm
            if is_sampled(trace_id, rarest / propensity, salt="arms")
        ]
        for arm in judged
    ]
    pairs = [(ours, theirs) for theirs, ours in zip(*kept, strict=False)]
    return np.array([ours - theirs for ours, theirs in pairs], dtype=np.float64)


def _forecast(differences: Floats, margin: float, enough: float) -> int | None:
    """By the growth of the best stake on what was seen."""
    if len(differences) < _ENOUGH:
        return None
    stakes = _BETS / (1.0 - margin)
    growth = np.log1p(np.multiply.outer(stakes, differences + margin)).mean(axis=1).max()
    if growth <= 0.0:
        return None
    held = float(log_capital(differences, -margin, up=True)[-1])
    return max(1, math.ceil((enough - held) / float(growth)))
