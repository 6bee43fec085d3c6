"""A response as OpenAI writes it: what engines leave out of it added, what they add taken away.

vLLM has no `completed_at`, `error`, `store` and more, and writes null for fields of its own; and it
calls the end of a response `response.completed` where a limit cut it short. llama.cpp leaves out
all that a client said itself. What a request said is told again, as OpenAI does; what it did not
say, with OpenAI's default. Values that the engine gave stay as they are, byte for byte. A
response of an unknown form stays as it is.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

from gateway.wire import UNREADABLE

Fields = Mapping[str, msgspec.Raw]

_NULL_EXTRA = re.compile(
    rb',"(?:phase|namespace|created_by|encrypted_content|(?:input|output)_messages'
    rb'|[ke][vc]_transfer_params)":null'
)
_NULL, _ZERO = msgspec.Raw(b"null"), msgspec.Raw(b"0")
_A_RESPONSE = msgspec.Raw(b'"response"')
_A_CALL = msgspec.Raw(b'"function_call"')
_COMPLETED = msgspec.Raw(b'"response.completed"')
_INCOMPLETE = msgspec.Raw(b'"response.incomplete"')
_WHOLE = msgspec.Raw(b'"completed"')
_CUT = msgspec.Raw(b'"incomplete"')
_LIMITED = {
    "status": _CUT,
    "incomplete_details": msgspec.Raw(b'{"reason":"max_output_tokens"}'),
}

_NULLABLE = (
    *("completed_at", "error", "incomplete_details", "instructions", "max_output_tokens"),
    *("max_tool_calls", "previous_response_id", "prompt_cache_key", "safety_identifier", "usage"),
)
_DEFAULTS = dict.fromkeys(_NULLABLE, _NULL) | {
    name: msgspec.Raw(default)
    for name, default in {
        "background": b"false",
        "frequency_penalty": b"0.0",
        "metadata": b"{}",
        "model": b"null",
        "output": b"[]",
        "parallel_tool_calls": b"true",
        "presence_penalty": b"0.0",
        "reasoning": b'{"effort":null,"summary":null}',
        "service_tier": b'"default"',
        "store": b"true",
        "temperature": b"1.0",
        "text": b'{"format":{"type":"text"}}',
        "tool_choice": b'"auto"',
        "tools": b"[]",
        "top_logprobs": b"0",
        "top_p": b"1.0",
        "truncation": b'"disabled"',
    }.items()
}
_USAGE = {
    "input_tokens_details": {"cache_write_tokens": _ZERO, "cached_tokens": _ZERO},
    "output_tokens_details": {"reasoning_tokens": _ZERO},
}
_PART = {"annotations": msgspec.Raw(b"[]"), "logprobs": msgspec.Raw(b"[]")}
_TOOL = {"description": _NULL, "parameters": _NULL, "strict": _NULL}


class _Reply(Protocol):
    """What is read here of an event, or of a whole response."""

    @property
    def type(self) -> str: ...
    @property
    def item(self) -> object | None: ...
    @property
    def part(self) -> object | None: ...
    @property
    def response(self) -> object | None: ...


def as_openai_response(payload: bytes, reply: _Reply, asked: Fields, *, stream: bool) -> bytes:
    """`asked`: the request's own fields, none where they are not known any more; and `created_at`,
    when it came.
    """
    if reply.response is None and reply.item is None and reply.part is None:
        return payload
    payload = _NULL_EXTRA.sub(b"", payload).replace(b'"logprobs":null', b'"logprobs":[]')
    try:
        fields = _FIELDS.decode(payload)
        mended = _event(fields, asked) if stream else _response(fields, asked)
    except UNREADABLE:
        return payload
    return msgspec.json.encode(mended)


def _event(fields: dict[str, msgspec.Raw], asked: Fields) -> dict[str, msgspec.Raw]:
    if (part := fields.get("part", _NULL)) != _NULL and b'"output_text"' in bytes(part):
        fields["part"] = _with(part, _PART)
    if (item := fields.get("item", _NULL)) != _NULL:
        fields["item"] = _item(item)
    if (whole := fields.get("response", _NULL)) != _NULL:
        response = _response(_FIELDS.decode(whole), asked)
        if fields.get("type") == _COMPLETED and response.get("status") == _CUT:
            fields["type"] = _INCOMPLETE
        fields["response"] = _raw(response)
    return fields


def _response(fields: dict[str, msgspec.Raw], asked: Fields) -> dict[str, msgspec.Raw]:
    if fields.get("object") != _A_RESPONSE:
        return fields
    fields.pop("timings", None)
    fields.pop("metrics", None)
    if "incomplete_details" not in fields and _at_its_limit(fields, asked):
        fields |= _LIMITED
    for name, default in _DEFAULTS.items():
        if fields.get(name, _NULL) == _NULL:
            said = asked.get(name, _NULL)
            fields[name] = default if said == _NULL else said
    if "created_at" in asked:
        fields.setdefault("created_at", asked["created_at"])
    if (usage := fields["usage"]) != _NULL:
        fields["usage"] = _usage(usage)
    if bytes(fields["tools"]) != b"[]":
        fields["tools"] = _raw([_with(tool, _TOOL) for tool in _LIST.decode(fields["tools"])])
    if b'"function_call"' in bytes(fields["output"]):
        fields["output"] = _raw([_item(item) for item in _LIST.decode(fields["output"])])
    return fields


def _usage(raw: msgspec.Raw) -> msgspec.Raw:
    fields = _FIELDS.decode(raw)
    for name, details in _USAGE.items():
        told = fields.get(name, _NULL)
        fields[name] = _raw(details) if told == _NULL else _with(told, details)
    return _raw(fields)


def _item(raw: msgspec.Raw) -> msgspec.Raw:
    """A call has an id of its own, which llama.cpp leaves to `call_id`."""
    fields = _FIELDS.decode(raw)
    if fields.get("type") != _A_CALL or "id" in fields or "call_id" not in fields:
        return raw
    return _raw({"id": fields["call_id"], **fields})


def _at_its_limit(fields: Fields, asked: Fields) -> bool:
    """Whether as many tokens were written as were allowed: llama.cpp does not say so."""
    if fields.get("status") != _WHOLE:
        return False
    limit = _NUMBER.decode(asked.get("max_output_tokens", _NULL))
    usage = _USED.decode(fields.get("usage", _NULL))
    return limit is not None and usage is not None and usage.output_tokens >= limit


class _Used(msgspec.Struct):
    output_tokens: int = 0


def _with(raw: msgspec.Raw, defaults: Fields) -> msgspec.Raw:
    return _raw({**defaults, **_FIELDS.decode(raw)})


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NUMBER = msgspec.json.Decoder(int | None)
_USED = msgspec.json.Decoder(_Used | None)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
