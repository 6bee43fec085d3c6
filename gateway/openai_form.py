"""What engines add to OpenAI's shapes, and what they leave out, put right in the bytes.

vLLM writes null for every field of its own (`"token_ids":null`), llama.cpp adds its timings and
opens a stream with null content. Nothing is re-encoded: a quote inside a JSON string is escaped, so
that `,"token_ids":null` can only ever be a key and its value. What a client asked for is not null,
and stays.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.spending import LastChunk
from gateway.wire import NULL, TRUE
from router.trace import Usage

_NULL_EXTRA = re.compile(
    rb',"(?:stop_reason|token_ids|routed_experts|prompt_(?:logprobs|token_ids|text)|metrics'
    rb"|[ke][vc]_transfer_params|reasoning(?:_content)?|function_call|service_tier"
    rb'|(?:prompt|completion)_tokens_details)":null'
)
_LOGPROBS_KEY = b'"logprobs":'
_FINISH_KEY = b'"finish_reason":'
_ROLE = b'"role":"assistant"'
_NULL_ANNOTATIONS = b'"annotations":null'
_NULL_OPENING = b'"role":"assistant","content":null}'
_EMPTY_OPENING = b'"role":"assistant","content":""}'


class _Choice(Protocol):
    @property
    def index(self) -> int: ...


class _Completion(Protocol):
    """What is read here of a chat or text completion."""

    @property
    def timings(self) -> msgspec.Raw: ...
    @property
    def metrics(self) -> msgspec.Raw: ...
    @property
    def parts(self) -> Sequence[_Choice]: ...
    @property
    def usage(self) -> object | None: ...
    @property
    def spent(self) -> Usage | None: ...


class _Wishes(Protocol):
    @property
    def fields(self) -> Mapping[str, msgspec.Raw]: ...
    @property
    def stream(self) -> bool: ...
    @property
    def choices(self) -> int: ...
    @property
    def include_usage(self) -> bool: ...
    @property
    def last_chunk(self) -> LastChunk | None: ...


def as_openai(payload: bytes, reply: _Completion, asked: _Wishes) -> bytes | None:
    """A completion, or a chunk, as OpenAI would have written it; None: a chunk nobody asked for.

    With `include_usage`, OpenAI's chunks before the last one carry `"usage":null`.
    """
    payload = _NULL_EXTRA.sub(b"", payload)
    if asked.stream and _NULL_OPENING in payload:
        payload = payload.replace(_NULL_OPENING, _EMPTY_OPENING, 1)
    if reply.timings != NULL:
        payload = payload.replace(b',"timings":' + bytes(reply.timings), b"", 1)
    if reply.metrics != NULL:
        payload = payload.replace(b',"metrics":' + bytes(reply.metrics), b"", 1)
    if not asked.stream:
        return _whole(payload)
    if reply.usage is not None:
        return _with_usage(payload, reply, asked)
    if asked.include_usage and b'"usage":' not in payload:
        return _with_null(payload)
    return payload


def _with_usage(payload: bytes, reply: _Completion, asked: _Wishes) -> bytes | None:
    """A chunk that came with usage, without it: that is for the last one, if for any."""
    spent, last_chunk = reply.spent, asked.last_chunk
    if last_chunk is None or spent is None:
        return _without_usage(payload) if reply.parts else None
    if not reply.parts and asked.choices == 1:
        return payload
    if reply.parts and _is_continuous(asked.fields):
        return payload
    last_chunk.hold(payload, spent, [choice.index for choice in reply.parts])
    return _with_null(_without_usage(payload)) if reply.parts else None


def _without_usage(payload: bytes) -> bytes:
    fields = _FIELDS.decode(payload)
    del fields["usage"]
    return msgspec.json.encode(fields)


def _with_null(payload: bytes) -> bytes:
    return payload[: payload.rindex(b"}")] + b',"usage":null}'


def _is_continuous(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Usage in every chunk, vLLM's own, where a client asks for that."""
    options = _FIELDS.decode(fields.get("stream_options", _NO_OPTIONS))
    return options.get("continuous_usage_stats") == TRUE


def _whole(payload: bytes) -> bytes:
    """With what OpenAI writes into each choice and llama.cpp leaves out; its list is never null."""
    if _NULL_ANNOTATIONS in payload:
        payload = payload.replace(_NULL_ANNOTATIONS, b'"annotations":[]')
    if b'"refusal":' not in payload:
        payload = payload.replace(_ROLE, _ROLE + b',"refusal":null')
    if _LOGPROBS_KEY not in payload:
        payload = payload.replace(_FINISH_KEY, _LOGPROBS_KEY + b"null," + _FINISH_KEY)
    return payload


def without_logprobs(payload: bytes, found: Iterable[msgspec.Raw]) -> bytes:
    """`payload` as it would read had nobody asked for logprobs: null for each that was found.

    Looked for at its key, since searching for the long value itself costs a hundred times as much.
    """
    at = 0
    for raw in found:
        if raw == NULL:
            continue
        value = bytes(raw)
        at = payload.find(_LOGPROBS_KEY, at) + len(_LOGPROBS_KEY)
        if payload.startswith(value, at):
            payload = payload[:at] + b"null" + payload[at + len(value) :]
        else:  # written with spaces, or in another order
            payload, at = payload.replace(value, b"null", 1), 0
    return payload


_NO_OPTIONS = msgspec.Raw(b"{}")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
