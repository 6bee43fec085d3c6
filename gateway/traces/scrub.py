"""What of a record may be stored: the content policy."""

from enum import StrEnum
from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from router.trace import Exchange, Judgement, ModelAnswer
from router.verification import Verification


class Content(StrEnum):
    """full: everything. none: no word of a client's or a model's, figures only."""

    FULL = "full"
    NONE = "none"


Kind = TypeVar("Kind", Exchange, Judgement)


def scrub(record: Kind, content: Content) -> Kind:
    """The record as the policy lets it be stored.

    Without content an upstream's error message goes too, since engines quote the request in them
    (the status and the reason stay), and so does where two answers part, which quotes both, and
    what feedback says in words.
    """
    if content is Content.FULL:
        return record
    if isinstance(record, Judgement):
        read = _forget_tokens(record.verification)
        return replace(record, detail="", label=None, correction=None, verification=read)
    return replace(
        record,
        request=UNSET,
        student=_mute(record.student),
        teacher=_mute(record.teacher),
        verification=_forget_tokens(record.verification),
    )


def _forget_tokens(verification: Verification | None) -> Verification | None:
    """Ids are words to whoever has the tokenizer."""
    if verification is None:
        return None
    return replace(verification, token_ids=(), readings=(), why_not="")


def _mute(answer: ModelAnswer | None) -> ModelAnswer | None:
    if answer is None:
        return None
    return replace(answer, text=None, tool_calls=UNSET, error=None)
