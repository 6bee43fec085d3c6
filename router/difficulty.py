"""How hard a request looks before anybody has answered it: a logistic in its hashed n-grams."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np

from router.deferral import Floats
from router.fitting import fit_weights

BUCKETS = 512
_WORD = re.compile(r"\w+|[^\w\s]")
_SIGN_BIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Difficulty:
    """`weights`: intercept, one for each bucket, and that of the logarithm of the length."""

    weights: Floats

    def agreement(self, prompts: Sequence[str]) -> Floats:
        """P(the teacher will agree with the student), of each prompt."""
        logit = _design(prompts) @ self.weights
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def fit_difficulty(
    prompts: Sequence[str], agreement: Floats, weight: Floats, *, prior: float = 1.0
) -> Difficulty:
    """On judged requests; prior: the precision of the buckets' normal priors, none on the
    intercept and next to none on the length.
    """
    penalty = np.diag([1e-6, *[prior] * BUCKETS, 1e-2])
    return Difficulty(fit_weights(_design(prompts), agreement, weight, penalty))


def hashed(prompt: str) -> Floats:
    """Words and pairs of neighbours, each into one of BUCKETS with a sign of its own, so that what
    collides cancels on average (Weinberger et al. 2009); of Euclidean length 1, or 0 of no word.
    """
    words = _WORD.findall(prompt.casefold())
    found = np.zeros(BUCKETS)
    for gram in (*words, *(f"{a} {b}" for a, b in pairwise(words))):
        mark = crc32(gram.encode("utf-8", "replace"))
        found[mark % BUCKETS] += 1.0 if mark & _SIGN_BIT else -1.0
    size = float(np.sqrt(found @ found))
    return found / size if size else found


def _design(prompts: Sequence[str]) -> Floats:
    rows = np.array([hashed(each) for each in prompts])
    lengths = np.log1p([float(len(each)) for each in prompts])
    return np.column_stack([np.ones(len(prompts)), rows, lengths])
