"""Responses: the request, and the shapes of an answer, whole or as typed events.

A request that goes on from a stored response (`previous_response_id`) is asked of the model that
wrote it, which its id tells (`gateway.origin`).
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from gateway.call import Ending
from gateway.chat import ChatToken, as_evidence
from gateway.clock import Clock
from gateway.errors import BadRequest, GatewayError
from gateway.origin import Origin, unmark
from gateway.reply import Token
from gateway.response_events import Numbering
from gateway.response_form import as_openai_response
from gateway.wire import (
    LIST,
    NULL,
    ONE,
    STR,
    Asked,
    as_json,
    is_there,
    known,
    read_fields,
    read_flag,
    read_model,
)
from router.trace import Usage

LOGPROBS_WISH = "message.output_text.logprobs"
_NO_LOGPROBS = b"[]"
TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
"""After one of these events, a stream is whole."""


class ResponsesRequest(Asked, frozen=True, kw_only=True, gc=False):
    """`POST /v1/responses`. numbering: of the one stream in which a client reads the answer.

    came_s: when it came, in unix seconds; None where there was no clock.
    """

    path: ClassVar[str] = "/responses"
    ending: ClassVar[Ending] = Ending.TERMINAL_EVENT
    previous: str | None = None
    came_s: int | None = None
    numbering: Numbering = msgspec.field(default_factory=Numbering)

    def hear(self, payload: bytes, *, stream: bool) -> "ResponsesReply":
        return _EVENT.decode(payload) if stream else read_response(payload)

    def shown(self, payload: bytes, reply: "ResponsesReply", origin: Origin) -> bytes:  # type: ignore[override]  # what `hear` gave
        if not self.logprobs:
            for logprobs in reply.all_logprobs():
                payload = payload.replace(bytes(logprobs), _NO_LOGPROBS, 1)
        if reply.response is not None and (own := reply.response.id):
            payload = _swap(payload, own, origin.mark(own))
            if before := reply.response.previous_response_id:  # lies where this one does
                payload = _swap(payload, before, origin.mark(before))
        asked = self.fields
        if reply.response is not None and self.came_s is not None:
            asked = {**asked, "created_at": as_json(self.came_s)}
        payload = as_openai_response(payload, reply, asked, stream=self.stream)
        return self.numbering.numbered(payload, reply) if self.stream else payload

    def framed(self, payload: bytes) -> bytes:
        return b"event: " + _type_of(payload) + b"\ndata: " + payload + b"\n\n"

    def ended(self) -> bytes:
        return b""

    def failed(self, error: GatewayError) -> bytes:
        """OpenAI's event, and in it the error object that its clients look for and raise."""
        told = {"code": error.code, "message": str(error), "param": error.param}
        event = {"type": "error", **told, "error": {"type": error.type, **told}}
        return self.framed(msgspec.json.encode({**event, "sequence_number": self.numbering.take()}))

    def body_for(self, model: str, *, stream: bool | None = None, observe: bool = False) -> bytes:
        body = super().body_for(model, stream=stream, observe=observe)
        if self.previous is None:
            return body
        fields = read_fields(body)
        fields["previous_response_id"] = as_json(self.previous)
        return msgspec.json.encode(fields)

    def _observe(self, fields: dict[str, msgspec.Raw]) -> None:
        wished = known(fields, "include", LIST) or []
        fields["include"] = as_json([*wished, LOGPROBS_WISH])
        fields.setdefault("top_logprobs", ONE)


def parse_responses(body: bytes, clock: Clock | None = None) -> ResponsesRequest:
    """Raises BadRequest naming the field that is missing or of the wrong type.

    clock: dates what llama.cpp leaves without a date, the first events of a stream.
    """
    fields = read_fields(body)
    model = read_model(fields)
    if not is_there(fields.get("input", NULL)) and not is_there(fields.get("prompt", NULL)):
        raise BadRequest("input", "is required: a string, or a list of input items")
    previous = known(fields, "previous_response_id", STR)
    held = unmark(previous) if previous else None
    if previous and (held is None or held[1].role not in {"student", "teacher"}):
        raise BadRequest(
            "previous_response_id", f"{previous!r} is not the id of a response from here"
        )
    include = known(fields, "include", LIST) or []
    return ResponsesRequest(
        raw=body,
        fields=fields,
        model=model,
        stream=read_flag(fields, "stream"),
        logprobs=as_json(LOGPROBS_WISH) in include,
        include_usage=True,
        judgeable=not read_flag(fields, "background"),
        came_s=int(clock.unix_s()) if clock is not None else None,
        previous=held[0] if held else None,
        held_at=held[1] if held else None,
    )


def stored_request(*, stream: bool, logprobs: bool) -> ResponsesRequest:
    """What a stored response is shown by: its own request is not known any more."""
    return ResponsesRequest(raw=b"", fields={}, model="", stream=stream, logprobs=logprobs)


def read_response(body: bytes) -> "ResponsesReply":
    """A whole response. Raises msgspec.DecodeError when it is none."""
    return _whole(_RESPONSE.decode(body))


class _Content(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    logprobs: msgspec.Raw = NULL


class _Item(msgspec.Struct):
    """One thing of the output: a message, a function call, reasoning."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[_Content] | None = None

    def call(self) -> dict[str, object]:
        """In chat's form, as traces keep calls."""
        function = {"name": self.name, "arguments": self.arguments or ""}
        return {"id": self.call_id, "type": "function", "function": function}


class _Details(msgspec.Struct):
    reason: str | None = None


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _Cached | None = None

    def spent(self) -> Usage:
        cached = self.input_tokens_details and self.input_tokens_details.cached_tokens
        return Usage(self.input_tokens, self.output_tokens, cached or 0)


class _Response(msgspec.Struct):
    id: str = ""
    previous_response_id: str | None = None
    status: str | None = None
    output: list[_Item] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = NULL
    incomplete_details: _Details | None = None

    @property
    def finish_reason(self) -> str | None:
        """In chat's words; None for a response that is not at its end."""
        match self.status:
            case "completed" | None:
                called = any(item.type == "function_call" for item in self.output or ())
                return "tool_calls" if called else "stop"
            case "incomplete":
                reason = self.incomplete_details and self.incomplete_details.reason
                return "content_filter" if reason == "content_filter" else "length"
            case _:
                return None


class ResponsesPart(msgspec.Struct):
    """The one choice that a response has."""

    words: str | None = None
    calls: msgspec.Raw = NULL
    refusal: str | None = None
    thoughts: str | None = None
    finish_reason: str | None = None
    logged: list[msgspec.Raw] = []
    index: int = 0

    @property
    def said(self) -> "ResponsesPart":
        return self

    def tokens(self) -> list[Token]:
        return as_evidence(token for raw in self.logged for token in _TOKENS.decode(raw) or ())


class ResponsesReply(msgspec.Struct):
    """One event of a stream; a whole response is read as an event that holds all of it.

    vLLM tells nothing of drafts here, whatever `metrics` it writes.
    """

    metrics: ClassVar[msgspec.Raw] = NULL
    type: str = ""
    sequence_number: int | None = None
    item_id: str | None = None
    delta: str | None = None
    logprobs: msgspec.Raw = NULL
    item: _Item | None = None
    part: _Content | None = None
    response: _Response | None = None
    error: msgspec.Raw = NULL
    message: str | None = None

    @property
    def spent(self) -> Usage | None:
        at_end = self.response is not None and self.response.usage is not None
        return self.response.usage.spent() if at_end else None  # type: ignore[union-attr]

    @property
    def trouble(self) -> msgspec.Raw:
        if self.type == "error":
            return self.error if is_there(self.error) else as_json({"message": self.message})
        if self.response is not None:
            return self.response.error
        return self.error

    @property
    def parts(self) -> Sequence[ResponsesPart]:
        match self.type:
            case "response.output_text.delta":
                logged = [self.logprobs] if is_there(self.logprobs) else []
                part = ResponsesPart(words=self.delta, logged=logged)
            case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
                part = ResponsesPart(thoughts=self.delta)
            case "response.refusal.delta":
                part = ResponsesPart(refusal=self.delta)
            case "response.output_item.done" if self.item and self.item.type == "function_call":
                part = ResponsesPart(calls=as_json([self.item.call()]))
            case "response.completed" | "response.incomplete" if self.response:
                part = ResponsesPart(finish_reason=self.response.finish_reason)
            case "whole" if self.response:
                part = _spoken(self.response)
            case _:
                return ()
        return (part,)

    def all_logprobs(self) -> list[msgspec.Raw]:
        """Wherever an event holds them: at its delta, its part, its item, its whole response."""
        items = [self.item] if self.item else []
        if self.response is not None:
            items += self.response.output or []
        contents = [content for item in items for content in item.content or ()]
        if self.part is not None:
            contents.append(self.part)
        found = [self.logprobs, *(content.logprobs for content in contents)]
        return [raw for raw in found if is_there(raw) and len(bytes(raw)) > len(_NO_LOGPROBS)]


def _whole(response: _Response) -> ResponsesReply:
    return ResponsesReply(type="whole", response=response)


def _spoken(response: _Response) -> ResponsesPart:
    items = response.output or []
    said = [each for item in items if item.type == "message" for each in item.content or ()]
    calls = [item.call() for item in items if item.type == "function_call"]
    return ResponsesPart(
        words="".join(each.text or "" for each in said) or None,
        refusal="".join(each.refusal or "" for each in said) or None,
        calls=as_json(calls) if calls else NULL,
        finish_reason=response.finish_reason,
        logged=[each.logprobs for each in said if is_there(each.logprobs)],
    )


def _swap(payload: bytes, old: str, new: str) -> bytes:
    """An id for another; ids are JSON strings of their own wherever they stand."""
    return payload.replace(b'"' + old.encode() + b'"', b'"' + new.encode() + b'"')


def _type_of(payload: bytes) -> bytes:
    return _TYPE.decode(payload).type.encode()


class _Type(msgspec.Struct):
    type: str = "message"


_TYPE = msgspec.json.Decoder(_Type)
_EVENT = msgspec.json.Decoder(ResponsesReply)
_RESPONSE = msgspec.json.Decoder(_Response)
_TOKENS = msgspec.json.Decoder(list[ChatToken] | None)
