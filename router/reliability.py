"""Whether confidence means what it says: the reliability diagram, calibration error, Brier."""

import math
from dataclasses import dataclass

import numpy as np

from router.deferral import Floats
from router.interval import Interval, wilson_interval

_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of similar confidence: its mean, and the share that agreed, with an interval.

    mass: their share of all, by weight.
    """

    confidence: float
    agreed: Interval
    mass: float
    effective: float
    """Kish's effective number of pairs."""


def reliability(confidence: Floats, agreement: Floats, weight: Floats, bins: int = 10) -> list[Bin]:
    """The diagram: bins of equal weight, lowest confidence first; equal confidences stay together.

    Of no pairs, no bins.
    """
    order = np.argsort(confidence, kind="stable")
    confidence, agreement, weight = confidence[order], agreement[order], weight[order]
    before = np.cumsum(weight) - weight
    which = np.minimum((before / max(weight.sum(), _LEAST) * bins).astype(int), bins - 1)
    # Equal confidences go where the first of them went.
    first = np.searchsorted(confidence, confidence, side="left")
    which = which[first]
    found = []
    for each in np.unique(which):
        mine = which == each
        w = weight[mine]
        total = float(w.sum())
        effective = total**2 / float((w**2).sum())
        agreed = float((w * agreement[mine]).sum()) / total
        found.append(
            Bin(
                confidence=float((w * confidence[mine]).sum()) / total,
                agreed=wilson_interval(agreed, effective),
                mass=total / float(weight.sum()),
                effective=effective,
            )
        )
    return found


def calibration_error(bins: list[Bin]) -> float:
    """The root of the mean squared gap between confidence and agreement, less what chance adds.

    Even an honest forecast's bins are off by chance: by the binomial variance v = p(1-p)/(n-1) in
    the square, so sum of mass x (gap^2 - v) is without bias (Kumar, Liang, Ma: Verified uncertainty
    calibration, NeurIPS 2019). It is never less than the error in absolute gaps. Negative: 0.
    """
    squared = 0.0
    for each in bins:
        share = each.agreed.estimate
        variance = share * (1.0 - share) / max(each.effective - 1.0, 1.0)
        squared += each.mass * ((each.confidence - share) ** 2 - variance)
    return math.sqrt(max(0.0, squared))


def mean_gap(bins: list[Bin]) -> float:
    """Mean absolute gap, what is usually called ECE; chance adds to it."""
    return sum(each.mass * abs(each.confidence - each.agreed.estimate) for each in bins)


def brier(confidence: Floats, agreement: Floats, weight: Floats) -> float:
    """Mean squared error."""
    return float(np.average((confidence - agreement) ** 2, weights=weight))


def log_loss(confidence: Floats, agreement: Floats, weight: Floats) -> float:
    """Mean negative log-likelihood, nats. Probabilities are kept 1e-12 off 0 and 1."""
    p = np.clip(confidence, _LEAST, 1.0 - _LEAST)
    losses = -(agreement * np.log(p) + (1.0 - agreement) * np.log1p(-p))
    return float(np.average(losses, weights=weight))
