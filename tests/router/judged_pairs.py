"""Judged pairs of a made-up student, of which it is known how sure it ought to be."""

import math

import numpy as np

from router.calibration import Calibration, Feature, Logistic, Method, Scores
from router.fitting import Pair
from router.signals import Signals, read_signals

DULL = Calibration(
    method=Method.PLATT,
    map=Logistic({Feature.MEAN: 0.5}, -1.0),
    student="small",
    label="sentiment",
    window_tokens=24,
    pairs=300,
    scores=Scores(0.3, 0.1, 0.02),
)
"""sigmoid(log-odds of the mean / 2 - 1)."""


def signals_of(probability: float) -> Signals:
    """An answer of one deciding token."""
    return read_signals([math.log(probability)])


def overconfident(number: int, *, seed: int, propensity: float = 1.0) -> list[Pair]:
    """It gives odds that are too high by their square, and e times: P(agree) is what DULL says."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(2.0, 2.0, number)
    agree = random.random(number) < 1.0 / (1.0 + np.exp(1.0 - log_odds / 2.0))
    said = 1.0 / (1.0 + np.exp(-log_odds))
    return [
        Pair(signals_of(p), float(a), propensity) for p, a in zip(said.tolist(), agree, strict=True)
    ]
