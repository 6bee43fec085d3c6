"""The teacher has read the student's draft: how much of it stands, and whether more is to come."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from router.verify_rules import Drafted, Reading, Rule, keeps


@dataclass(frozen=True, slots=True)
class Draft:
    """What the student wrote, token by token, the end-of-turn token included where it came to it.

    finished: the answer is over, at its own end or at the client's limit; else it was held.
    """

    tokens: tuple[Drafted, ...]
    finished: bool


@dataclass(frozen=True, slots=True)
class Ruling:
    """kept: tokens from the start that the answer begins with. agreed: tokens that the rule let
    stand; more than `kept` where the cut would have gone through a character. whole: the draft is
    the answer, and nothing follows it.
    """

    kept: int
    agreed: int
    whole: bool


def rule_on(rule: Rule, draft: Draft, readings: Sequence[Reading]) -> Ruling:
    """Everything up to the first token that the rule does not keep, or all.

    Raises ValueError unless there is a reading for each token.
    """
    if len(readings) != len(draft.tokens):
        raise ValueError(f"{len(draft.tokens)} tokens were written, {len(readings)} were read")
    pairs = zip(draft.tokens, readings, strict=True)
    agreed = sum(1 for _ in takewhile(lambda pair: keeps(rule, *pair), pairs))
    if draft.finished and agreed == len(draft.tokens):
        return Ruling(agreed, agreed, whole=True)
    return Ruling(whole_characters(draft.tokens, agreed), agreed, whole=False)


def text_of(tokens: Sequence[Drafted]) -> str:
    """What so many tokens say. A character that is not complete reads as U+FFFD."""
    return b"".join(each.text for each in tokens).decode("utf-8", "replace")


def whole_characters(tokens: Sequence[Drafted], most: int) -> int:
    """The longest prefix of at most so many tokens that ends where a character ends.

    A teacher that goes on from within one would write bytes that are no text by themselves. A
    token without text has begun a character that a later token completes.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    best = 0
    for count, each in enumerate(tokens[:most], 1):
        try:
            decoder.decode(each.text)
        except UnicodeDecodeError:
            break
        begun, _ = decoder.getstate()
        if not begun and each.text:
            best = count
    return best
