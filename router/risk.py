"""Tests and bounds of a mean loss in [0, 1] that hold for any number of pairs, not only for many.

`loss` is 1 - agreement. The null hypothesis is that the mean loss exceeds `max_risk`; a p-value of
at most delta rejects it, and then it is true with probability delta at most.
"""

import math
from collections.abc import Callable

import numpy as np

from router.deferral import Floats

_BETS = np.arange(1, 17) / 16
_HALVINGS = 50


def binomial_p_value(wrong: int, judged: int, max_risk: float) -> float:
    """P(at most so many wrong | risk = max_risk): exact for uniform samples of losses 0 or 1."""
    _must_be_share("max_risk", max_risk)
    if wrong >= judged or max_risk == 1.0:
        return 1.0 if wrong >= judged else 0.0
    return math.exp(_log_binomial_cdf(wrong, judged, max_risk))


def binomial_upper_bound(wrong: int, judged: int, delta: float) -> float:
    """The one-sided bound of Clopper and Pearson (1934): below it with probability 1 - delta."""
    _must_be_share("delta", delta)
    if wrong >= judged:
        return 1.0
    return _largest_not_rejected(lambda risk: binomial_p_value(wrong, judged, risk), delta)


def betting_p_value(loss: Floats, propensity: Floats, floor: float, max_risk: float) -> float:
    """For losses in [0, 1] and any known propensities, all at least `floor`.

    A gambler stakes on every pair that its loss will be below max_risk, and a pair of propensity q
    counts floor/q. If the risk exceeds max_risk no stake wins on average, so his capital, the mean
    over sixteen fixed stakes, exceeds 1/p with probability p at most (Ville; Waudby-Smith and
    Ramdas 2024). It does not depend on the order. `floor` must be known without looking at who was
    judged.
    """
    _must_be_share("max_risk", max_risk)
    _must_be_share("floor", floor)
    if len(loss) and float(propensity.min()) < floor:
        raise ValueError(f"propensity {propensity.min()} is below the floor, {floor}")
    return float(np.exp(-log_capital(loss, floor / propensity, max_risk)[-1])) if len(loss) else 1.0


def betting_upper_bound(loss: Floats, propensity: Floats, floor: float, delta: float) -> float:
    """The largest risk that the bets do not reject: below it with probability 1 - delta."""
    _must_be_share("delta", delta)

    def p_value(risk: float) -> float:
        return min(1.0, betting_p_value(loss, propensity, floor, risk))

    return _largest_not_rejected(p_value, delta)


def log_capital(loss: Floats, weight: Floats, max_risk: float) -> Floats:
    """Of the gambler after each pair, starting from 1; `weight` in (0, 1]."""
    change = weight * (max_risk - loss)
    grown = np.cumsum(np.log1p(np.multiply.outer(_BETS, change)), axis=1)
    most = grown.max(axis=0)
    return np.asarray(most + np.log(np.exp(grown - most).mean(axis=0)))


def least_pairs(risk: float, max_risk: float, delta: float) -> int | None:
    """Uniform pairs with which a student that is wrong in this share would pass; None if never.

    From Chernoff's bound, P(at most n x risk wrong | max_risk) <= exp(-n KL(risk || max_risk)): a
    few more than are needed.
    """
    if risk >= max_risk:
        return None
    return math.ceil(-math.log(delta) / divergence(risk, max_risk))


def divergence(p: float, q: float) -> float:
    """KL(p || q) of two coins, in nats; q in (0, 1)."""
    heads = p * math.log(p / q) if p > 0.0 else 0.0
    tails = (1.0 - p) * math.log((1.0 - p) / (1.0 - q)) if p < 1.0 else 0.0
    return heads + tails


def _largest_not_rejected(p_value: Callable[[float], float], delta: float) -> float:
    """By bisection: a p-value falls as the risk that is to be rejected rises."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if p_value(middle) > delta:
            low = middle
        else:
            high = middle
    return high


def _log_binomial_cdf(successes: int, trials: int, p: float) -> float:
    """By the terms' ratios, in logarithms: nothing underflows."""
    odds = math.log(p) - math.log1p(-p)
    number = np.arange(successes)
    ratios = np.log((trials - number) / (number + 1.0)) + odds
    terms = np.concatenate([[0.0], np.cumsum(ratios)]) + trials * math.log1p(-p)
    most = float(terms.max())
    return min(0.0, most + math.log(float(np.exp(terms - most).sum())))


def _must_be_share(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise ValueError(f"{name} must be in (0, 1], got {value}")
