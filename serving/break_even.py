"""Whether a draft is worth its cost. Pure.

Leviathan et al. 2023, Chen et al. 2023: with k drafted tokens a step, each accepted with
probability alpha independently, a step brings (1 - alpha^(k+1)) / (1 - alpha) tokens, and costs
one step of the large model and k of the small one, c of it each.
"""

from collections.abc import Callable
from dataclasses import dataclass

_BISECTIONS = 60
MOST_DRAFTED = 8


def tokens_a_step(alpha: float, k: int) -> float:
    """Between 1 and k + 1."""
    return float(k + 1) if alpha >= 1 else (1 - alpha ** (k + 1)) / (1 - alpha)


def alpha_of(tokens: float, k: int) -> float:
    """The alpha with which a step brings so many `tokens`: the inverse of `tokens_a_step`."""
    return _where(lambda alpha: tokens_a_step(alpha, k) - tokens)


def speed_up(alpha: float, k: int, c: float) -> float:
    """Tokens a second with the draft, over those without."""
    return tokens_a_step(alpha, k) / (1 + c * k)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """alpha: of what was seen. needed_alpha: from which on the draft pays; None: it never does,
    for it is as slow as the model itself. best_k: of 1 to `MOST_DRAFTED`, at this alpha.
    """

    k: int
    cost: float
    alpha: float
    predicted: float
    needed_alpha: float | None
    best_k: int
    best_predicted: float


def break_even(tokens: float, k: int, cost: float) -> BreakEven:
    """tokens: what a step brought on average. cost: of a token of the draft, over the teacher's."""
    alpha = alpha_of(tokens, k)
    best_k = max(range(1, MOST_DRAFTED + 1), key=lambda each: speed_up(alpha, each, cost))
    pays = speed_up(1.0, k, cost) > 1
    return BreakEven(
        k=k,
        cost=cost,
        alpha=alpha,
        predicted=speed_up(alpha, k, cost),
        needed_alpha=_where(lambda each: speed_up(each, k, cost) - 1) if pays else None,
        best_k=best_k,
        best_predicted=speed_up(alpha, best_k, cost),
    )


def _where(rising: Callable[[float], float]) -> float:
    """In [0, 1], where a rising function passes 0; an end of it where it does not."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return high
