"""What the verified answers are held to: the teacher's own, token by token, and what they cost.

A lead is by how many nats a token is ahead of the best other one; negative where it is behind.
"""

from collections.abc import Sequence
from itertools import takewhile

import msgspec

from router.verification import Ending

NEAR_TIE_NATS = 0.5
"""Two that are no further apart may change places by rounding alone: logits in bfloat16 have steps
of 1/16 (8 and more) or 1/8 (16 and more), and two of them are compared.
"""


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """The teacher alone, asked directly. texts, written, read: one a token; the leads of its own
    tokens as it wrote them one by one, and as it read them afterwards in one prefill.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    texts: tuple[str, ...]
    token_ids: tuple[int, ...]
    written: tuple[float, ...]
    read: tuple[float, ...]


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """The teacher alone, asked the same once more: what is not told apart by rounding at all."""

    text: str
    finish_reason: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a client read through the gateway, and the trace of it.

    teacher_tokens: all that the teacher's calls wrote, an answer anew included. ids: the draft's.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    ending: Ending | None
    why_not: str
    kept: int
    agreed: int
    ids: tuple[int, ...]
    teacher_tokens: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt. streamed: None where nobody asked for a stream."""

    own: Own
    again: Again
    whole: Verified
    streamed: Verified | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer leaves the teacher's own.

    how: `again` (no gateway in between), `whole`, `streamed`. at: the token, from 0. lead: how far
    the teacher's own token was ahead there when it wrote alone. kept: whether it was a token of the
    student that was let stand; else the teacher wrote it, after what it had read.
    """

    prompt: int
    how: str
    at: int
    lead: float
    kept: bool

    @property
    def near_tie(self) -> bool:
        return self.lead <= NEAR_TIE_NATS


def differences(rows: Sequence[Row]) -> list[Difference]:
    found = []
    for number, row in enumerate(rows):
        for how in ("again", "whole", "streamed"):
            answer: Again | Verified | None = getattr(row, how)
            if answer is None or _same(row.own, answer):
                continue
            at = _first_other(row.own, answer.text)
            kept = isinstance(answer, Verified) and at < answer.kept
            lead = row.own.written[at] if at < len(row.own.written) else 0.0
            found.append(Difference(prompt=number, how=how, at=at, lead=lead, kept=kept))
    return found


def _same(own: Own, answer: Again | Verified) -> bool:
    """To the letter, and to the number of tokens."""
    if (answer.text, answer.finish_reason) != (own.text, own.finish_reason):
        return False
    if isinstance(answer, Again):
        return True
    counted = (answer.prompt_tokens, answer.completion_tokens)
    return counted == (own.prompt_tokens, len(own.token_ids))


def _first_other(own: Own, text: str) -> int:
    """The first of the teacher's own tokens that the text does not go on with."""
    pairs = zip(own.text, text, strict=False)  # one may end before the other
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    said = 0
    for at, each in enumerate(own.texts):
        said += len(each)
        if said > alike:
            return at
    return max(len(own.texts) - 1, 0)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """prompts; equal: how many answers are the teacher's own, of as many. own_tokens: what the
    teacher writes alone; written: with verification. drafted, agreed, kept: the student's tokens.
    """

    prompts: int
    equal: int
    own_tokens: int
    written: int
    drafted: int
    agreed: int
    kept: int
    endings: dict[str, int]

    @property
    def saved(self) -> float:
        """The share of the teacher's decoded tokens that nobody had to write."""
        return 1 - self.written / self.own_tokens


def figures(rows: Sequence[Row], how: str) -> Figures:
    """how: `whole` or `streamed`."""
    answers: list[Verified] = [getattr(row, how) for row in rows]
    endings: dict[str, int] = {}
    for answer in answers:
        name = answer.ending.value if answer.ending is not None else "not deferred"
        endings[name] = endings.get(name, 0) + 1
    return Figures(
        prompts=len(rows),
        equal=sum(_same(row.own, answer) for row, answer in zip(rows, answers, strict=True)),
        own_tokens=sum(len(row.own.token_ids) for row in rows),
        written=sum(answer.teacher_tokens for answer in answers),
        drafted=sum(len(answer.ids) for answer in answers),
        agreed=sum(answer.agreed for answer in answers),
        kept=sum(answer.kept for answer in answers),
        endings=endings,
    )


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """What a `tie_nats` would do to the teacher's own tokens, read in one prefill.

    wrong: tokens at which another one is ahead by more than that, so that a student who writes the
    other would be believed. refused: tokens that are ahead by no more than that, so that a student
    who writes the very same would not be.
    """

    tie_nats: float
    wrong: int
    refused: int


def margins(rows: Sequence[Row], ties: Sequence[float]) -> list[Margin]:
    leads = [lead for row in rows for lead in row.own.read]
    return [
        Margin(
            tie_nats=tie,
            wrong=sum(-lead > tie for lead in leads),
            refused=sum(0.0 < lead <= tie for lead in leads),
        )
        for tie in ties
    ]


def roundings(rows: Sequence[Row]) -> list[float]:
    """How far each lead moved between writing and reading, in nats, from the least to the most."""
    return sorted(
        abs(wrote - read)
        for row in rows
        for wrote, read in zip(row.own.written, row.own.read, strict=True)
    )
