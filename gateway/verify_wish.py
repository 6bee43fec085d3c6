"""Which requests can be verified, and how far: a matter of what they ask for, field by field.

The teacher's logprobs of a prompt are those of the plain model. What bends the odds while a model
writes (penalties, biases, a grammar) is not in them; what is read out of the text afterwards (tool
calls, reasoning) can be kept whole, and cannot be gone on from as plain text.
"""

from collections.abc import Mapping

import msgspec

from gateway.wire import UNREADABLE, Asked, Fields, is_there

_PLAIN = frozenset(
    {"model", "messages", "prompt", "stream", "stream_options", "max_tokens", "n", "logprobs"}
    | {"max_completion_tokens", "top_logprobs", "user", "metadata", "store", "service_tier"}
    | {"safety_identifier", "prompt_cache_key", "priority", "chat_template_kwargs"}
)
SAMPLING = frozenset({"temperature", "top_p", "top_k", "min_p", "seed"})
"""What a continuation is asked with, as the request was."""
_WHOLE = frozenset(
    {"stop", "tools", "tool_choice", "parallel_tool_calls", "response_format"}
    | {"structured_outputs", "reasoning_effort"}
)
_NEUTRAL: Mapping[str, float] = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "repetition_penalty": 1,
}
_PATHS = frozenset({"/chat/completions", "/completions"})


class Unfit(Exception):
    """Cannot be verified; the message says why, without a word of the client's."""


class Wish(msgspec.Struct, frozen=True):
    """whole_only: a draft stands as it is, or not at all. limit: the client's, in tokens. greedy:
    temperature 0, so that there is one answer that is the teacher's own.
    """

    whole_only: bool
    limit: int | None
    greedy: bool


def read_wish(asked: Asked) -> Wish:
    """Raises Unfit."""
    fields = asked.fields
    if asked.path not in _PATHS or not asked.judgeable:
        raise Unfit("only chat and text completions are verified")
    if asked.choices != 1:
        raise Unfit("several choices")
    if asked.logprobs:
        raise Unfit("the client asked for logprobs, which would be of two models")
    strange = fields.keys() - _PLAIN - SAMPLING - _WHOLE
    if strange and not all(_is_neutral(name, fields) for name in strange):
        raise Unfit("a field that changes the odds, or that is not known")
    return Wish(
        whole_only=any(is_there(fields[name]) for name in fields.keys() & _WHOLE),
        limit=_limit(fields),
        greedy=_number(fields, "temperature") == 0,
    )


def check_is_text(fields: Fields) -> None:
    """Raises Unfit where a message has pictures or sound, which token ids do not tell."""
    raw = fields.get("messages")
    try:
        messages = _MESSAGES.decode(raw) if raw is not None else []
    except UNREADABLE as error:
        raise Unfit("messages of an unknown shape") from error
    contents = [each.content for each in messages if isinstance(each.content, list)]
    if any(part.type not in _TEXTUAL for content in contents for part in content):
        raise Unfit("a message that is not only text")


_TEXTUAL = frozenset({"text", "refusal"})


class _ContentPart(msgspec.Struct):
    type: str = "text"


class _Message(msgspec.Struct):
    content: str | list[_ContentPart] | None = None


_MESSAGES = msgspec.json.Decoder(list[_Message])
_ANY = msgspec.json.Decoder()


def _is_neutral(name: str, fields: Fields) -> bool:
    if not is_there(fields[name]):
        return True
    return name in _NEUTRAL and _number(fields, name) == _NEUTRAL[name]


def _number(fields: Fields, name: str) -> float | None:
    raw = fields.get(name)
    value = _ANY.decode(raw) if raw is not None else None
    return value if isinstance(value, int | float) else None


def _limit(fields: Fields) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        if (limit := _number(fields, name)) is not None:
            return int(limit)
    return None
