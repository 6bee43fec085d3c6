"""Calibrated confidence: from what a gate read to P(the teacher would agree).

It rules live, so there is no numpy in it: `fitting` makes it.

A calibration belongs to the student it was fitted on: another model, another quantization even, is
sure in another way. `must_fit` says no to a pair that does not match.
"""

import math
from bisect import bisect_right
from enum import StrEnum

import msgspec

from router.signals import Signals

VERSION = 1
_MOST_LOGIT = 15.0
"""Beyond it a probability is 0 or 1 to seven digits, and engines' logprobs are rounding."""


class UnreadableCalibration(ValueError):
    """The bytes are not a calibration that this version can read; the message says why."""


class StaleCalibration(ValueError):
    """It was fitted on another student, or on another reading of its answers."""


class Feature(StrEnum):
    """What a calibration reads of the signals: log-odds of probabilities, but for the last two."""

    MEAN = "mean"
    MIN = "min"
    Q10 = "q10"
    Q25 = "q25"
    Q50 = "q50"
    FIRST = "first"
    DOUBTFUL = "doubtful"
    LENGTH = "length"
    """ln(deciding tokens)."""


def features(signals: Signals) -> dict[Feature, float]:
    """In the order of `Feature`."""
    return {
        Feature.MEAN: _log_odds(signals.mean_nats),
        Feature.MIN: _log_odds(signals.min_nats),
        Feature.Q10: _log_odds(signals.q10_nats),
        Feature.Q25: _log_odds(signals.q25_nats),
        Feature.Q50: _log_odds(signals.q50_nats),
        Feature.FIRST: _log_odds(signals.first_nats),
        Feature.DOUBTFUL: signals.doubtful,
        Feature.LENGTH: math.log(signals.deciding),
    }


class Logistic(msgspec.Struct, frozen=True, tag="logistic"):
    """sigmoid(intercept + sum of weight x feature)."""

    weights: dict[Feature, float]
    intercept: float

    def __call__(self, read: dict[Feature, float]) -> float:
        return sigmoid(
            self.intercept + sum(weight * read[name] for name, weight in self.weights.items())
        )


class Isotonic(msgspec.Struct, frozen=True, tag="isotonic"):
    """A non-decreasing line through the points (at, value), level beyond its ends.

    at: ascending, of one feature. value: in [0, 1], non-decreasing.
    """

    feature: Feature
    at: tuple[float, ...]
    value: tuple[float, ...]

    def __call__(self, read: dict[Feature, float]) -> float:
        x = read[self.feature]
        right = bisect_right(self.at, x)
        if right == 0:
            return self.value[0]
        if right == len(self.at):
            return self.value[-1]
        x0, x1 = self.at[right - 1], self.at[right]
        y0, y1 = self.value[right - 1], self.value[right]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


class Method(StrEnum):
    """How it was fitted. Temperature and Platt are logistic in one feature, the head in all."""

    TEMPERATURE = "temperature"
    PLATT = "platt"
    ISOTONIC = "isotonic"
    HEAD = "head"


class Scores(msgspec.Struct, frozen=True):
    """How good probabilities are; lower is better.

    log_loss: nats. brier: squared error. ece: debiased, see `reliability`.
    """

    log_loss: float
    brier: float
    ece: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The artefact: what turns signals into confidence, and where it comes from.

    student: the model as its engine calls it. label, window_tokens: as in the rule whose gate
    read the signals. pairs: judged pairs it was fitted on. scores: cross-validated on them.
    student_sha256: of the weights, which a release that carries it must hold.
    """

    version: int = VERSION
    method: Method
    map: Logistic | Isotonic
    student: str
    label: str | None
    window_tokens: int
    pairs: int
    scores: Scores
    release: str | None = None
    student_sha256: str | None = None

    def confidence(self, signals: Signals) -> float:
        """In [0, 1]."""
        return self.map(features(signals))

    def must_fit(self, *, student: str, label: str | None, window_tokens: int) -> None:
        """Raises StaleCalibration unless that is what it was fitted on."""
        for what, ours, theirs in (
            ("student", self.student, student),
            ("label", self.label, label),
            ("gate.window_tokens", self.window_tokens, window_tokens),
        ):
            if ours != theirs:
                raise StaleCalibration(
                    f"{what}: the calibration was fitted with {ours!r}, the route has {theirs!r}: "
                    "fit it anew with `tutelage tune`"
                )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Calibration)


def encode_calibration(calibration: Calibration) -> bytes:
    return _encoder.encode(calibration)


def decode_calibration(artefact: bytes) -> Calibration:
    """Raises UnreadableCalibration."""
    try:
        found = _decoder.decode(artefact)
    except msgspec.DecodeError as error:
        raise UnreadableCalibration(f"not a calibration of version {VERSION}: {error}") from error
    if found.version > VERSION:
        raise UnreadableCalibration(
            f"version {found.version} is newer than {VERSION}, the newest that this version reads: "
            "upgrade"
        )
    return found


def sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-min(x, 700.0)))
    odds = math.exp(max(x, -700.0))
    return odds / (1.0 + odds)


def _log_odds(nats: float) -> float:
    """ln(p / (1 - p)) of p = e^nats, bounded."""
    if nats > -1e-9:  # noqa: PLR2004 - where 1 - p is lost in rounding
        return _MOST_LOGIT
    return max(-_MOST_LOGIT, min(_MOST_LOGIT, nats - math.log(-math.expm1(nats))))
