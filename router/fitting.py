"""Fits calibrations on judged pairs, weighted by propensity; cross-validation chooses one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.calibration import Calibration, Feature, Isotonic, Logistic, Method, Scores
from router.calibration import features as read_features
from router.deferral import Floats, NoContrast
from router.evidence import Record, agreement_of
from router.reliability import brier, calibration_error, log_loss, reliability
from router.signals import Signals
from router.trace import Exchange

LEAST_PAIRS = 50
_FOLDS = 5
_FEATURES = tuple(Feature)
_NEWTON_STEPS = 50
_CONVERGED = 1e-9


class TooFewPairs(ValueError):
    """Not enough judged pairs to fit anything on; the message says how many there are."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What the gate read, how far the teacher agreed, in [0, 1], and its propensity."""

    signals: Signals
    agreement: float
    propensity: float


def pairs_of(
    records: Iterable[Record],
    comparator: str,
    signals_of: Callable[[Exchange], Signals | None] = lambda exchange: exchange.signals,
) -> list[Pair]:
    """Of the records that were judged by this comparator, and in which signals were read."""
    pairs = []
    for exchange, judgements in records:
        agreement = agreement_of(judgements, comparator)
        if agreement is None or not exchange.propensity:
            continue
        if (signals := signals_of(exchange)) is not None:
            pairs.append(Pair(signals, agreement, exchange.propensity))
    return pairs


@dataclass(frozen=True, slots=True)
class Sample:
    """Pairs as arrays: features (pairs x Feature), agreement, weight.

    The weights' mean is Kish's effective share of the pairs, n_eff / n.
    """

    features: Floats
    agreement: Floats
    weight: Floats

    @staticmethod
    def of(pairs: Sequence[Pair]) -> "Sample":
        rows = [list(read_features(each.signals).values()) for each in pairs]
        weight = 1.0 / np.array([each.propensity for each in pairs])
        # So that a prior weighs as much as against so many independent pairs.
        weight *= weight.sum() / (weight**2).sum()
        agreement = np.array([each.agreement for each in pairs], dtype=np.float64)
        return Sample(np.array(rows, dtype=np.float64), agreement, weight)

    def part(self, rows: npt.NDArray[np.intp]) -> "Sample":
        return Sample(self.features[rows], self.agreement[rows], self.weight[rows])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to fit; `feature` is the one it reads, None for all."""

    method: Method
    feature: Feature | None

    def fit(self, sample: Sample) -> Logistic | Isotonic:
        match self.method, self.feature:
            case Method.HEAD, _:
                return _fit_logistic(sample, _FEATURES, prior=1.0)
            case Method.PLATT, Feature() as feature:
                return _fit_logistic(sample, (feature,), prior=1e-2)
            case Method.TEMPERATURE, Feature() as feature:
                return _fit_temperature(sample, feature)
            case Method.ISOTONIC, Feature() as feature:
                return _fit_isotonic(sample, feature)
            case _:
                raise ValueError(f"{self.method} needs a feature")


CANDIDATES = (
    *(
        Candidate(method, feature)
        for method in (Method.TEMPERATURE, Method.PLATT, Method.ISOTONIC)
        for feature in (Feature.MEAN, Feature.MIN)
    ),
    Candidate(Method.HEAD, None),
)
"""Simplest first."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate and how it did on pairs that it was not fitted on."""

    candidate: Candidate
    scores: Scores


def cross_validate(
    sample: Sample, candidates: Sequence[Candidate] = CANDIDATES, *, seed: int = 0
) -> list[Tried]:
    """Five folds, drawn by `seed`: a candidate is scored on all pairs, each by a fit without it.

    Raises TooFewPairs, NoContrast.
    """
    number = len(sample.agreement)
    if number < LEAST_PAIRS:
        raise TooFewPairs(f"{number} judged pairs; a calibration needs {LEAST_PAIRS} at least")
    if sample.agreement.min() == sample.agreement.max():
        raise NoContrast(
            f"all of {number} judged pairs agree alike: there is nothing to tell apart"
        )
    fold_of = np.random.default_rng(seed).permutation(number) % _FOLDS
    tried = []
    for candidate in candidates:
        held_out = np.empty(number)
        for fold in range(_FOLDS):
            (inside,), (outside,) = np.nonzero(fold_of != fold), np.nonzero(fold_of == fold)
            fitted = candidate.fit(sample.part(inside))
            held_out[outside] = predict(fitted, sample.features[outside])
        tried.append(Tried(candidate, score(held_out, sample.agreement, sample.weight)))
    return tried


def score(confidence: Floats, agreement: Floats, weight: Floats) -> Scores:
    return Scores(
        log_loss=log_loss(confidence, agreement, weight),
        brier=brier(confidence, agreement, weight),
        ece=calibration_error(reliability(confidence, agreement, weight)),
    )


def calibrate(
    pairs: Sequence[Pair], *, student: str, label: str | None, window_tokens: int
) -> Calibration:
    """The candidate of the least cross-validated log loss, fitted on all pairs.

    Log loss and not the calibration error: it is proper, so a confidence that cannot tell answers
    apart does not win. Raises TooFewPairs, NoContrast.
    """
    sample = Sample.of(pairs)
    best = min(cross_validate(sample), key=lambda tried: tried.scores.log_loss)
    return Calibration(
        method=best.candidate.method,
        map=best.candidate.fit(sample),
        student=student,
        label=label,
        window_tokens=window_tokens,
        pairs=len(pairs),
        scores=best.scores,
    )


def predict(fitted: Logistic | Isotonic, features: Floats) -> Floats:
    """By the code that rules live."""
    return np.array([fitted(dict(zip(_FEATURES, row, strict=True))) for row in features.tolist()])


def _fit_logistic(sample: Sample, read: tuple[Feature, ...], *, prior: float) -> Logistic:
    """Newton's method on the penalised likelihood: normal priors of precision `prior` on the
    weights of standardised features, next to none on the intercept.
    """
    columns = [_FEATURES.index(each) for each in read]
    raw, weight = sample.features[:, columns], sample.weight
    centre = np.average(raw, axis=0, weights=weight)
    spread = np.sqrt(np.average((raw - centre) ** 2, axis=0, weights=weight))
    spread[spread < _CONVERGED] = 1.0
    ones = np.ones((len(raw), 1))
    design = np.hstack([ones, (raw - centre) / spread])
    penalty = np.diag([1e-6, *[prior] * len(columns)])
    beta = fit_weights(design, sample.agreement, weight, penalty)
    slopes = beta[1:] / spread
    intercept = float(beta[0] - slopes @ centre)
    return Logistic(dict(zip(read, slopes.tolist(), strict=True)), intercept)


def _fit_temperature(sample: Sample, feature: Feature) -> Logistic:
    """A logistic without intercept: Guo et al. 2017, on the log-odds of one probability."""
    design = sample.features[:, [_FEATURES.index(feature)]]
    (slope,) = fit_weights(design, sample.agreement, sample.weight, np.eye(1) * 1e-6)
    return Logistic({feature: float(slope)}, 0.0)


def fit_weights(design: Floats, target: Floats, weight: Floats, penalty: Floats) -> Floats:
    """Steps that would raise the loss are halved, so it comes down whatever the start."""

    def loss(beta: Floats) -> float:
        logit = design @ beta
        fit = weight @ (np.logaddexp(0.0, logit) - target * logit)
        return float(fit + beta @ penalty @ beta / 2)

    beta = np.zeros(design.shape[1])
    at = loss(beta)
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -700, 700)))
        gradient = design.T @ (weight * (p - target)) + penalty @ beta
        curvature = (design.T * (weight * p * (1 - p))) @ design + penalty
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := loss(beta - size * step)) > at and size > _CONVERGED:
            size /= 2
        if at - after < _CONVERGED:
            break
        beta, at = beta - size * step, after
    return beta


def _fit_isotonic(sample: Sample, feature: Feature) -> Isotonic:
    """Pool adjacent violators, then a line through the blocks' centres.

    A block's share is shrunk towards one half by half a pair on either side, since none of
    finitely many pairs proves a probability of 1.
    """
    x = sample.features[:, _FEATURES.index(feature)]
    order = np.argsort(x, kind="stable")
    blocks: list[tuple[float, float, float]] = []  # weight, sum of agreement, sum of x
    values = x[order], sample.agreement[order], sample.weight[order]
    where, which = np.unique(values[0], return_inverse=True)
    weights = np.bincount(which, values[2])
    agreed = np.bincount(which, values[2] * values[1])
    for at, w, a in zip(where.tolist(), weights.tolist(), agreed.tolist(), strict=True):
        block = (w, a, w * at)
        while blocks and blocks[-1][1] * block[0] >= block[1] * blocks[-1][0]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    shares = [(a + 0.5) / (w + 1.0) for w, a, _ in blocks]
    return Isotonic(
        feature,
        at=tuple(x_sum / w for w, _, x_sum in blocks),
        value=tuple(np.maximum.accumulate(shares).tolist()),
    )
