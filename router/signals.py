"""What can be read off the deciding tokens' logprobs: numbers in [0, 1]."""

import math
from collections.abc import Sequence


def mean_probability(logprobs: Sequence[float]) -> float:
    """Geometric mean of the token probabilities, exp(mean logprob): perplexity's inverse.

    Unlike their product it does not punish an answer for being long. `logprobs`: in nats, at
    least one.
    """
    return math.exp(sum(map(_evidence, logprobs)) / len(logprobs))


def min_probability(logprobs: Sequence[float]) -> float:
    """Probability of the least probable token: one doubtful token makes a doubtful answer."""
    return math.exp(min(map(_evidence, logprobs)))


def _evidence(logprob: float) -> float:
    """Engines round to a hair above 0, and a NaN speaks for nothing."""
    return min(logprob, 0.0) if logprob == logprob else -math.inf  # noqa: PLR0124 - NaN alone differs from itself
