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
_NULL = msgspec.Raw(b"null")
_RESPONSE = msgspec.Raw(b'"response"')
_COMPLETED = msgspec.Raw(b'"response.completed"')
_INCOMPLETE = msgspec.Raw(b'"response.incomplete"')
_CUT = msgspec.Raw(b'"incomplete"')

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
    "input_tokens_details": msgspec.Raw(b'{"cached_tokens":0}'),
    "output_tokens_details": msgspec.Raw(b'{"reasoning_tokens":0}'),
}
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
    """`asked`: the request's own fields; none where they are not known any more."""
    if reply.response is None and reply.item is None and reply.part is None:
        return payload
    payload = _NULL_EXTRA.sub(b"", payload).replace(b'"logprobs":null', b'"logprobs":[]')
    if reply.response is None:
        return payload
    try:
        return _completed(payload, asked, stream=stream)
    except UNREADABLE:
        return payload


def _completed(payload: bytes, asked: Fields, *, stream: bool) -> bytes:
    fields = _FIELDS.decode(payload)
    if not stream:
        return msgspec.json.encode(_filled(fields, asked))
    response = _filled(_FIELDS.decode(fields["response"]), asked)
    if fields.get("type") == _COMPLETED and response.get("status") == _CUT:
        fields["type"] = _INCOMPLETE
    return msgspec.json.encode({**fields, "response": response})


def _filled(fields: dict[str, msgspec.Raw], asked: Fields) -> dict[str, msgspec.Raw]:
    if fields.get("object") != _RESPONSE:
        return fields
    for name, default in _DEFAULTS.items():
        if fields.get(name, _NULL) == _NULL:
            said = asked.get(name, _NULL)
            fields[name] = default if said == _NULL else said
    if (usage := fields["usage"]) != _NULL:
        fields["usage"] = _with(usage, _USAGE)
    if bytes(fields["tools"]) != b"[]":
        tools = [_with(tool, _TOOL) for tool in _LIST.decode(fields["tools"])]
        fields["tools"] = msgspec.Raw(msgspec.json.encode(tools))
    return fields


def _with(raw: msgspec.Raw, defaults: Fields) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({**defaults, **_FIELDS.decode(raw)}))


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
