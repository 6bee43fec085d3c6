"""A threshold with a promise: the most lenient whose risk is bounded, with confidence 1 - delta."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from router.deferral import Floats
from router.evidence import Evidence
from router.replay import Replayed, replay
from router.risk import (
    betting_upper_bound,
    binomial_p_value,
    binomial_upper_bound,
    divergence,
    least_pairs,
    log_capital,
)

_STEPS = 40


class NoSafeThreshold(Exception):
    """No threshold can be promised; the message says why, and how much more data would do.

    more_pairs: judged pairs above the best threshold that are missing; None if no number would do,
    because the student is wrong too often wherever one looks.
    """

    def __init__(self, why: str, more_pairs: int | None) -> None:
        super().__init__(why)
        self.more_pairs = more_pairs


class Bound(StrEnum):
    """binomial: exact, for uniform samples of right and wrong. betting: for all others."""

    BINOMIAL = "binomial"
    BETTING = "betting"


@dataclass(frozen=True, slots=True)
class Promise:
    """P(the student is wrong | it serves) <= max_risk with probability 1 - delta.

    risk_bound: the upper bound at this threshold alone. judged: pairs that it rests on.
    """

    threshold: float
    max_risk: float
    delta: float
    risk_bound: float
    judged: int
    bound: Bound


def plan(planning: Evidence, testing: int, *, max_risk: float, delta: float) -> list[float]:
    """The thresholds to test, from strict to lenient, chosen on a part that the test will not use.

    They are quantiles of confidence. The first is the one that is likeliest to pass with `testing`
    judged pairs, because a sequence ends at its first failure: at the very top there are too few.
    Empty if no request could be served, or none is judged.
    """
    confident = planning.confidence[planning.servable]
    pairs = planning.part(planning.servable & planning.judged)
    if not len(pairs):
        return []
    grid = np.quantile(confident, np.linspace(0.0, 1.0, _STEPS + 1), method="lower")
    strict_first = np.unique(grid[grid > 0.0])[::-1]
    strength = _strength(pairs, strict_first, testing / int(planning.judged.sum()), max_risk)
    first = int(np.argmax(strength))
    if strength[first] == 0.0:
        fewest = math.log(delta) / math.log1p(-max_risk)
        above = (pairs.confidence[:, None] >= strict_first).sum(axis=0)
        first = int(np.argmax(above * testing / int(planning.judged.sum()) >= fewest))
    return [float(each) for each in strict_first[first:]]


def _strength(pairs: Evidence, thresholds: Floats, scale: float, max_risk: float) -> Floats:
    """How far each test may be expected to get: pairs x KL(risk || max_risk), in nats.

    One pair more is thought in, half of it wrong: no student is never wrong.
    """
    order = np.argsort(-pairs.confidence, kind="stable")
    falling, weight = -pairs.confidence[order], 1.0 / pairs.propensity[order]
    above = np.searchsorted(falling, -thresholds, side="right")
    sums = [np.concatenate([[0.0], np.cumsum(each)]) for each in (weight, weight**2)]
    wrong = np.concatenate([[0.0], np.cumsum(weight * pairs.loss[order])])[above]
    mass, squares = sums[0][above], sums[1][above]
    found = np.zeros(len(thresholds))
    for at in np.flatnonzero(above):
        effective = mass[at] ** 2 / squares[at]
        risk = (wrong[at] / mass[at] * effective + 0.5) / (effective + 1.0)
        if risk < max_risk:
            found[at] = scale * effective * divergence(risk, max_risk)
    return found


def pick_threshold(
    evidence: Evidence, thresholds: Sequence[float], *, max_risk: float, delta: float
) -> float:
    """The last of `thresholds` before the first whose test fails: fixed-sequence testing.

    Learn then Test (Angelopoulos et al., arXiv:2110.01052): the chance that a threshold with a risk
    above max_risk is picked is delta at most, for every distribution, as long as the thresholds
    were not chosen by `evidence`, and its requests are like tomorrow's. Raises NoSafeThreshold.
    """
    if not (0.0 < max_risk < 1.0 and 0.0 < delta < 1.0):
        raise ValueError(f"max_risk and delta must be in (0, 1), got {max_risk} and {delta}")
    test = _Test(evidence, max_risk)
    passed: float | None = None
    for threshold in thresholds:
        if test.p_value(threshold) > delta:
            break
        passed = threshold
    if passed is None:
        raise _refusal(evidence, thresholds, max_risk, delta)
    return passed


def promise(evidence: Evidence, threshold: float, *, max_risk: float, delta: float) -> Promise:
    """The bound at one threshold, which must not have been chosen by `evidence`'s losses."""
    at = evidence.part(evidence.served(threshold))
    judged = at.part(at.judged)
    bound = _bound_for(at)
    if np.isnan(at.propensity).any():
        upper = 1.0  # some could not have been judged
    elif bound is Bound.BINOMIAL:
        upper = binomial_upper_bound(round(float(judged.loss.sum())), len(judged), delta)
    else:
        upper = betting_upper_bound(judged.loss, judged.propensity, _floor(at), delta)
    return Promise(threshold, max_risk, delta, upper, len(judged), bound)


class _Test:
    """p-values of many thresholds on the same evidence: sorted and summed once."""

    def __init__(self, evidence: Evidence, max_risk: float) -> None:
        self._max_risk = max_risk
        servable = evidence.part(evidence.servable)
        falling = servable.part(np.argsort(-servable.confidence, kind="stable"))
        self._judged = falling.part(falling.judged)
        self._wrong = np.cumsum(self._judged.loss)
        self._all_falling, self._judged_falling = -falling.confidence, -self._judged.confidence
        # Of all down to each place; those that could not be drawn say nothing.
        self._least = np.fmin.accumulate(falling.propensity)
        self._most = np.fmax.accumulate(falling.propensity)
        self._blind = np.cumsum(np.isnan(falling.propensity))
        self._binary = _is_binary(self._judged.loss)
        self._capital: dict[float, Floats] = {}

    def p_value(self, threshold: float) -> float:
        above = int(np.searchsorted(self._all_falling, -threshold, side="right"))
        judged = int(np.searchsorted(self._judged_falling, -threshold, side="right"))
        if not judged or self._blind[above - 1]:
            return 1.0  # of those that nobody could have judged nothing can be promised
        floor = float(self._least[above - 1])
        if self._binary and floor == self._most[above - 1]:
            return binomial_p_value(round(float(self._wrong[judged - 1])), judged, self._max_risk)
        return math.exp(-float(self._capital_at(floor)[judged - 1]))

    def _capital_at(self, floor: float) -> Floats:
        """After each pair; those below the floor, which come later, are not asked for."""
        if floor not in self._capital:
            weight = np.minimum(1.0, floor / self._judged.propensity)
            self._capital[floor] = log_capital(self._judged.loss, weight, self._max_risk)
        return self._capital[floor]


def _bound_for(at: Evidence) -> Bound:
    """By how pairs were drawn, whoever was, and not by how they came out."""
    drawn = at.propensity[~np.isnan(at.propensity)]
    uniform = len(drawn) == 0 or float(drawn.min()) == float(drawn.max())
    return Bound.BINOMIAL if uniform and _is_binary(at.loss[at.judged]) else Bound.BETTING


def _is_binary(loss: Floats) -> bool:
    return bool(((loss == 0.0) | (loss == 1.0)).all())


def _floor(at: Evidence) -> float:
    return float(np.nanmin(at.propensity))


def _refusal(
    evidence: Evidence, thresholds: Sequence[float], max_risk: float, delta: float
) -> NoSafeThreshold:
    """What would have to be different."""
    points = [replay(evidence, each) for each in thresholds] if len(evidence) else []
    judged = [each for each in points if each.risk is not None and each.judged]
    fewest = math.ceil(math.log(delta) / math.log1p(-max_risk))
    if not judged:
        return NoSafeThreshold(
            "not one answer that the student could have served was judged; shadow some "
            f"([routes.X.shadow] rate): {fewest} pairs without a difference would do",
            fewest,
        )
    best, needed = _nearest(judged, max_risk, delta)
    assert best.risk is not None  # noqa: S101 - those without were left out
    seen = (
        f"at threshold {best.threshold:.4f} {best.risk.estimate:.1%} of {best.judged} pairs differ"
    )
    if needed is None:
        return NoSafeThreshold(
            f"the student differs from the teacher too often for a risk of {max_risk:.1%}: {seen}, "
            "and nowhere fewer. More pairs would not help; a better student or a larger risk would",
            None,
        )
    more = max(1, needed - best.judged)
    return NoSafeThreshold(
        f"too few pairs to promise a risk of {max_risk:.1%} with {1 - delta:.0%} certainty: "
        f"{seen}; if that stays so, about {more} more judged pairs at or above it would do",
        more,
    )


def _nearest(
    points: Sequence[Replayed], max_risk: float, delta: float
) -> tuple[Replayed, int | None]:
    """The point that lacks the fewest pairs, and how many it needs in all."""
    found: tuple[Replayed, int | None] | None = None
    lacking = math.inf
    for each in points:
        assert each.risk is not None  # noqa: S101 - the caller's filter
        needed = least_pairs(each.risk.estimate, max_risk, delta)
        if needed is not None and needed - each.judged < lacking:
            found, lacking = (each, needed), needed - each.judged
    least = min(points, key=lambda each: each.risk.estimate if each.risk else 1.0)
    return found or (least, None)
