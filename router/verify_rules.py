"""Which of the student's tokens the teacher lets stand: one rule, asked token by token.

`p` is the teacher's distribution where the student wrote a token `x`, `q` the student's own; both
after the same words. References: README.md, "Verification".
"""

import math
from dataclasses import dataclass

import msgspec


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """A token that the teacher might have written, and its log-probability in nats."""

    token_id: int
    nats: float


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """What the teacher thinks of one token that the student wrote.

    rank: 1 is the teacher's first choice; equals share a rank. top: its most probable tokens, best
    first, as many as were asked for; at least one.
    """

    token_id: int
    nats: float
    rank: int
    top: tuple[Candidate, ...]

    @property
    def best_nats(self) -> float:
        """The log-probability of the teacher's first choice."""
        return max(self.top[0].nats, self.nats)


@dataclass(frozen=True, slots=True)
class Drafted:
    """A token that the student wrote.

    text: its bytes of the answer; engines give the whole character to the token that completes
    it, and nothing to the ones before. nats, best_nats: the student's log-probability of it and of
    its own first choice, which it may not have drawn.
    """

    token_id: int
    text: bytes
    nats: float
    best_nats: float


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


@dataclass(frozen=True, slots=True)
class Greedy:
    """Keep iff `x` is the teacher's only first choice: then greedy decoding would have written it.

    tie_nats: a runner-up that is no further behind makes a tie, and ties are left to the teacher:
    which of two equals a decoder takes is the decoder's business, and numbers that come from
    reading many tokens at once differ a little from those of writing them one by one.
    """

    tie_nats: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.tie_nats < math.inf:
            raise ValueError(f"tie_nats must be 0 or more and finite, got {self.tie_nats}")

    def __str__(self) -> str:
        return "greedy"


@dataclass(frozen=True, slots=True)
class Lenient:
    """Keep iff `p(x) >= (1 - epsilon) * max p`: the token-specific rule TokenV3."""

    epsilon: float

    def __post_init__(self) -> None:
        _check_share("epsilon", self.epsilon)

    def __str__(self) -> str:
        return f"lenient({self.epsilon:g})"


@dataclass(frozen=True, slots=True)
class TokenV1:
    """Keep iff `q(x) >= max p - alpha`, or where it is the teacher's first choice."""

    alpha: float

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __str__(self) -> str:
        return f"token_v1({self.alpha:g})"


@dataclass(frozen=True, slots=True)
class TokenV2:
    """Keep iff `p(x) >= max p - alpha`."""

    alpha: float

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __str__(self) -> str:
        return f"token_v2({self.alpha:g})"


@dataclass(frozen=True, slots=True)
class TopK:
    """Keep iff `x` is among the teacher's `k` first choices."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be at least 1, got {self.k}")

    def __str__(self) -> str:
        return f"top_k({self.k})"


@dataclass(frozen=True, slots=True)
class Chow:
    """Ask the teacher iff `max q < 1 - alpha`: where the student is unsure."""

    alpha: float

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __str__(self) -> str:
        return f"chow({self.alpha:g})"


@dataclass(frozen=True, slots=True)
class Diff:
    """Ask the teacher iff `max q < max p - alpha`: where the teacher is the surer one."""

    alpha: float

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __str__(self) -> str:
        return f"diff({self.alpha:g})"


@dataclass(frozen=True, slots=True)
class Opt:
    """Ask the teacher iff `max q < max p - alpha * D(p, q)`, D the total variation distance.

    D needs both distributions whole. What is known of them here is one token, so the bound
    `D >= |p(x) - q(x)|` stands in: it asks the teacher at least wherever the rule itself would.
    """

    alpha: float

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __str__(self) -> str:
        return f"opt({self.alpha:g})"


Rule = Greedy | Lenient | TokenV1 | TokenV2 | TopK | Chow | Diff | Opt

_STRICT = Greedy()


def keeps(rule: Rule, drafted: Drafted, reading: Reading) -> bool:
    """Whether the token stands. Raises ValueError if the two are not about the same token."""
    if drafted.token_id != reading.token_id:
        raise ValueError(f"token {drafted.token_id} was written, {reading.token_id} was read")
    match rule:
        case Greedy(tie_nats):
            return reading.rank == 1 and _lead_nats(reading) > tie_nats
        case Lenient(epsilon):
            kept = 1.0 - epsilon
            return kept <= 0.0 or reading.nats >= reading.best_nats + math.log(kept)
        case TopK(k):
            return reading.rank <= k
        case TokenV2(alpha):
            best = _probability(reading.best_nats)
            return _probability(reading.nats) >= best - alpha
        case TokenV1(alpha):
            asks = _probability(drafted.nats) < _probability(reading.best_nats) - alpha
        case Chow(alpha):
            asks = _probability(drafted.best_nats) < 1.0 - alpha
        case Diff(alpha):
            asks = _probability(drafted.best_nats) < _probability(reading.best_nats) - alpha
        case Opt(alpha):
            far = abs(_probability(reading.nats) - _probability(drafted.nats))
            asks = _probability(drafted.best_nats) < _probability(reading.best_nats) - alpha * far
    # Where the teacher is asked, its greedy choice counts; elsewhere the student's word does.
    return not asks or keeps(_STRICT, drafted, reading)


def is_exact(rule: Rule) -> bool:
    """Whether what is kept is what the teacher itself would have written, decoding greedily."""
    return isinstance(rule, Greedy)


def _lead_nats(reading: Reading) -> float:
    """How far a first choice is ahead; not at all where nobody said what comes second."""
    others = [each.nats for each in reading.top if each.token_id != reading.token_id]
    return reading.nats - max(others, default=reading.nats)


def _probability(nats: float) -> float:
    return math.exp(min(nats, 0.0))
