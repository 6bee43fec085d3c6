"""Rejection sampling: a draft that was drawn from the student becomes a draw from the teacher.

Leviathan et al. (ICML 2023, arXiv:2211.17192, appendix A.1) and Chen et al. (arXiv:2302.01318):
keep `x`, drawn from `q`, with probability `min(1, p(x) / q(x))`; otherwise draw from the residual
`max(0, p - q)`, normalised. What comes out is distributed as `p`, whatever `q` is.

Both distributions must be whole, and those that were really drawn from: after temperature, top-p
and penalties. Engines tell the 20 most probable tokens of the untempered one. So a gateway cannot
use this rule, and lets the teacher write anew where a client samples; engines that hold both models
do it inside (speculative decoding). It stands here as the reference that other rules are held to.
"""

import numpy as np
import numpy.typing as npt

Distribution = npt.NDArray[np.float64]
"""Probabilities over the whole vocabulary; they add up to 1."""


def keep_probability(teacher: Distribution, student: Distribution, token_id: int) -> float:
    """With which probability a token that the student drew is kept."""
    drawn = float(student[token_id])
    if drawn <= 0.0:
        raise ValueError(f"token {token_id} has probability 0 and cannot have been drawn")
    return min(1.0, float(teacher[token_id]) / drawn)


def residual(teacher: Distribution, student: Distribution) -> Distribution:
    """Where the next token is drawn from after a rejection."""
    missing = np.maximum(teacher - student, 0.0)
    total = float(missing.sum())
    # No mass is missing: the two are equal, nothing is ever rejected, and any answer will do.
    return missing / total if total > 0.0 else teacher
