"""Chat completions: the request, and the shapes of an answer."""

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from gateway.errors import BadRequest
from gateway.openai_form import as_openai, without_logprobs
from gateway.origin import Origin
from gateway.reply import Token
from gateway.spending import LastChunk
from gateway.wire import (
    NULL,
    ONE,
    TRUE,
    Asked,
    is_filled_list,
    is_there,
    read_count,
    read_fields,
    read_flag,
    read_include_usage,
    read_model,
    stream_usage,
)
from router.trace import Usage


class ChatRequest(Asked, frozen=True, kw_only=True, gc=False):
    """`POST /v1/chat/completions`."""

    path: ClassVar[str] = "/chat/completions"

    def hear(self, payload: bytes, *, stream: bool) -> "ChatReply":
        return _REPLY.decode(payload)

    def shown(self, payload: bytes, reply: "ChatReply", origin: Origin) -> bytes | None:  # type: ignore[override]  # what `hear` gave
        if not self.logprobs:
            payload = without_logprobs(payload, [choice.logprobs for choice in reply.parts])
        return as_openai(payload, reply, self)

    def _observe(self, fields: dict[str, msgspec.Raw]) -> None:
        fields["logprobs"] = TRUE
        fields.setdefault("top_logprobs", ONE)  # llama.cpp's own default is 20 a token

    def _with_usage(self, fields: dict[str, msgspec.Raw], *, streams: bool) -> None:
        stream_usage(fields, streams=streams)


def parse_chat(body: bytes) -> ChatRequest:
    """Raises BadRequest naming the field that is missing or of the wrong type."""
    fields = read_fields(body)
    model = read_model(fields)
    if not is_filled_list(fields.get("messages", NULL)):
        raise BadRequest("messages", "is required: a list with at least one message")
    stream, choices = read_flag(fields, "stream"), read_count(fields, "n")
    include_usage = read_include_usage(fields)
    return ChatRequest(
        raw=body,
        fields=fields,
        model=model,
        stream=stream,
        choices=choices,
        logprobs=read_flag(fields, "logprobs"),
        include_usage=include_usage,
        last_chunk=LastChunk(choices) if stream and include_usage else None,
    )


class ChatToken(msgspec.Struct):
    token: str
    logprob: float
    utf8: list[int] | None = msgspec.field(default=None, name="bytes")


def as_evidence(tokens: Iterable[ChatToken]) -> list[Token]:
    """Their UTF-8 bytes, a part of a character included, and their logprobs.

    The bytes are those of the text, which is cheaper to read, but for a part of a character and
    where an engine gives ids for tokens.
    """
    return [
        (
            bytes(each.utf8)
            if each.utf8 and ("\ufffd" in each.token or each.token[:9] == "token_id:")
            else each.token.encode(),
            each.logprob,
        )
        for each in tokens
    ]


class _Logprobs(msgspec.Struct):
    content: list[ChatToken] | None = None


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class TokenUsage(msgspec.Struct):
    """As chat and completions count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Cached | None = None

    def spent(self) -> Usage:
        cached = self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens
        return Usage(self.prompt_tokens, self.completion_tokens, cached or 0)


class Message(msgspec.Struct):
    """The part of a message, or of a delta, that is read here."""

    role: str | None = None
    words: str | None = msgspec.field(name="content", default=None)
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    calls: msgspec.Raw = msgspec.field(name="tool_calls", default=NULL)

    @property
    def thoughts(self) -> str | None:
        """The newer name is vLLM's, the older one that of llama.cpp and others."""
        return self.reasoning or self.reasoning_content


_SILENT = Message()


class ChatChoice(msgspec.Struct):
    index: int = 0
    message: Message | None = None
    delta: Message | None = None
    logprobs: msgspec.Raw = NULL
    finish_reason: str | None = None

    @property
    def said(self) -> Message:
        return self.delta or self.message or _SILENT

    def tokens(self) -> list[Token]:
        return read_tokens(self.logprobs)


class ChatReply(msgspec.Struct):
    """A whole completion or one chunk of a stream: the same fields, `message` or `delta`."""

    parts: list[ChatChoice] = msgspec.field(name="choices", default_factory=list)
    usage: TokenUsage | None = None
    trouble: msgspec.Raw = msgspec.field(name="error", default=NULL)
    timings: msgspec.Raw = NULL
    metrics: msgspec.Raw = NULL

    @property
    def spent(self) -> Usage | None:
        return self.usage.spent() if self.usage is not None else None


def parse_reply(body: bytes) -> ChatReply:
    """Raises msgspec.DecodeError when the engine's bytes are not a completion."""
    return _REPLY.decode(body)


def read_tokens(logprobs: msgspec.Raw) -> list[Token]:
    """Of a `logprobs` object in chat's form."""
    if not is_there(logprobs):
        return []
    found = _LOGPROBS.decode(logprobs)
    return as_evidence(found.content or ()) if found is not None else []


_REPLY = msgspec.json.Decoder(ChatReply)
_LOGPROBS = msgspec.json.Decoder(_Logprobs | None)
