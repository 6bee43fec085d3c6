"""What quantizing cost and brought: a model before and after, on the same held-out texts. Pure."""

import math
from collections.abc import Iterable, Sequence
from itertools import takewhile

from pydantic import BaseModel, ConfigDict

from serving.scored import Scored


class Figures(BaseModel):
    """Of one model. perplexity: of all tokens together. memory: of the engine's processes, cache
    included. tokens_per_s: one answer at a time, reading the question included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    perplexity: float
    tokens_per_s: float
    engine_memory_bytes: int | None


class Fidelity(BaseModel):
    """same_first_choice: share of the texts' tokens where both would write the same next.
    same_answer: share of greedy answers that are equal to the last token; same_opening: the share
    of the source's answers' tokens that come before the first difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: int
    tokens: int
    answer_tokens: int
    before: Figures
    after: Figures
    same_first_choice: float
    same_answer: float
    same_opening: float


def judge(
    before: Sequence[Scored],
    after: Sequence[Scored],
    *,
    answer_tokens: int,
    memory_bytes: tuple[int | None, int | None],
) -> Fidelity:
    """Both of the same texts, in the same order; at least one text of two tokens."""
    pairs = list(zip(before, after, strict=True))
    choices = [
        mine == theirs
        for one, two in pairs
        for mine, theirs in zip(one.first_choices, two.first_choices, strict=True)
    ]
    openings = [
        (_common(one.answer, two.answer), len(one.answer)) for one, two in pairs if one.answer
    ]
    return Fidelity(
        texts=len(pairs),
        tokens=len(choices),
        answer_tokens=answer_tokens,
        before=_figures(before, memory_bytes[0]),
        after=_figures(after, memory_bytes[1]),
        same_first_choice=sum(choices) / len(choices),
        same_answer=sum(one.answer == two.answer for one, two in pairs) / len(pairs),
        same_opening=sum(same for same, _ in openings)
        / max(1, sum(whole for _, whole in openings)),
    )


def _figures(scored: Sequence[Scored], memory_bytes: int | None) -> Figures:
    nats = [each for one in scored for each in one.nats]
    spent_s = math.fsum(one.answer_s for one in scored)
    return Figures(
        perplexity=math.exp(-math.fsum(nats) / len(nats)),
        tokens_per_s=sum(len(one.answer) for one in scored) / spent_s if spent_s else 0.0,
        engine_memory_bytes=memory_bytes,
    )


def _common(one: Iterable[int], two: Iterable[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))
