"""What can be read off the deciding tokens' logprobs, in one pass when the gate rules."""

import math
from bisect import bisect_left
from collections.abc import Sequence

import msgspec

LOWEST_NATS = -50.0
"""What is less probable, or NaN, is written down as this: JSON has no infinity."""

DOUBTFUL_NATS = math.log(0.5)
"""A token below it had less than half of the probability: another may have had more."""


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of an answer's deciding tokens that traces keep, and calibrations read.

    Of a bounded size, however long the answer. Log-probabilities in nats, in [LOWEST_NATS, 0].
    deciding: how many tokens. q10, q25, q50: quantiles, the lowest value that at least that share
    of the tokens does not exceed. first: of the first one. doubtful: share below one half.
    """

    deciding: int
    mean_nats: float
    min_nats: float
    q10_nats: float
    q25_nats: float
    q50_nats: float
    first_nats: float
    doubtful: float


def read_signals(logprobs: Sequence[float]) -> Signals:
    """`logprobs`: of the deciding tokens in their order, in nats, at least one.

    One sort and one sum where all of them are in order, with no call for each token.
    """
    ordered = sorted(logprobs)
    total = sum(ordered)
    if not (ordered[0] >= LOWEST_NATS and ordered[-1] <= 0.0 and total <= 0.0):  # or one is NaN
        return read_signals(list(map(_bounded, logprobs)))
    number = len(ordered)
    return Signals(
        deciding=number,
        mean_nats=total / number,
        min_nats=ordered[0],
        # -(-a // b) is a/b rounded up, in whole numbers.
        q10_nats=ordered[-(-number // 10) - 1],
        q25_nats=ordered[-(-number // 4) - 1],
        q50_nats=ordered[-(-number // 2) - 1],
        first_nats=logprobs[0],
        doubtful=bisect_left(ordered, DOUBTFUL_NATS) / number,
    )


def bounded(logprobs: Sequence[float]) -> Sequence[float]:
    """The same where all are in [LOWEST_NATS, 0]; else what is not is brought there, NaN lowest."""
    if not logprobs or (
        min(logprobs) >= LOWEST_NATS and max(logprobs) <= 0.0 and sum(logprobs) <= 0.0
    ):
        return logprobs
    return list(map(_bounded, logprobs))


def mean_probability(logprobs: Sequence[float]) -> float:
    """Geometric mean of the token probabilities, exp(mean logprob): perplexity's inverse.

    Unlike their product it does not punish an answer for being long. `logprobs`: in nats, at
    least one.
    """
    total = sum(logprobs)
    if not (total <= 0.0 and max(logprobs) <= 0.0):  # one is above 0, or NaN
        total = sum(map(_evidence, logprobs))
    return math.exp(total / len(logprobs))


def min_probability(logprobs: Sequence[float]) -> float:
    """Probability of the least probable token: one doubtful token makes a doubtful answer."""
    return math.exp(min(map(_evidence, logprobs)))


def _evidence(logprob: float) -> float:
    """Engines round to a hair above 0, and a NaN speaks for nothing."""
    return min(logprob, 0.0) if logprob == logprob else -math.inf  # noqa: PLR0124 - NaN alone differs from itself


def _bounded(logprob: float) -> float:
    return max(_evidence(logprob), LOWEST_NATS)
