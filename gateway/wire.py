"""OpenAI bytes to typed values. What we do not know stays as the bytes it came in.

A request is kept as a map from field name to raw JSON: fields of our own making are replaced or
added, every other value travels to the engine byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from gateway.errors import BadRequest

Fields = Mapping[str, msgspec.Raw]
T = TypeVar("T")

_TRUE = msgspec.Raw(b"true")
_FALSE = msgspec.Raw(b"false")
_ONE = msgspec.Raw(b"1")
_NULL = msgspec.Raw(b"null")


def is_there(raw: msgspec.Raw) -> bool:
    """Whether a raw JSON value is something other than null."""
    return bytes(raw) != b"null"


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A parsed chat completion request; `fields` is the whole of it."""

    raw: bytes
    fields: Fields
    model: str
    stream: bool
    choices: int
    logprobs: bool
    include_usage: bool

    def body_for(self, model: str, *, stream: bool | None = None, observe: bool = False) -> bytes:
        """The bytes for an engine that knows itself as `model`.

        stream: None keeps the client's wish. observe: also ask for logprobs, which the gate reads.
        A stream always asks for usage, which the trace needs; `respond` strips what the client
        did not ask for.
        """
        fields = dict(self.fields)
        fields["model"] = msgspec.Raw(msgspec.json.encode(model))
        if observe and not self.logprobs:
            fields["logprobs"] = _TRUE
            fields.setdefault("top_logprobs", _ONE)  # llama.cpp's own default is 20 a token
        streams = self.stream if stream is None else stream
        if streams:
            fields["stream_options"] = _with_usage(fields.get("stream_options"))
        else:
            fields.pop("stream_options", None)
        if streams != self.stream:
            fields["stream"] = _TRUE if streams else _FALSE
        return msgspec.json.encode(fields)


def parse_chat(body: bytes) -> ChatRequest:
    """Raises BadRequest naming the field that is missing or of the wrong type."""
    try:
        fields = _FIELDS.decode(body)
    except msgspec.DecodeError as error:
        raise BadRequest("", f"the body is not a JSON object: {error}") from error
    model = _known(fields, "model", _STR)
    if not model:
        raise BadRequest("model", "is required: the name of a route, see GET /v1/models")
    if not _known(fields, "messages", _LIST):
        raise BadRequest("messages", "is required: a list with at least one message")
    choices = _known(fields, "n", _INT)
    if choices is not None and choices < 1:
        raise BadRequest("n", f"must be at least 1, got {choices}")
    options = _known(fields, "stream_options", _OPTIONS)
    return ChatRequest(
        raw=body,
        fields=fields,
        model=model,
        stream=bool(_known(fields, "stream", _BOOL)),
        choices=choices or 1,
        logprobs=bool(_known(fields, "logprobs", _BOOL)),
        include_usage=bool(options and options.include_usage),
    )


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    wished = _OPTION_FIELDS.decode(options) if options is not None else None
    return msgspec.Raw(msgspec.json.encode({**(wished or {}), "include_usage": _TRUE}))


def _known(fields: Fields, name: str, decoder: "msgspec.json.Decoder[T | None]") -> T | None:
    if (raw := fields.get(name)) is None:
        return None
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest(name, str(error)) from error


class Token(msgspec.Struct):
    """One generated token; `logprob` in nats."""

    token: str
    logprob: float
    utf8: list[int] | None = msgspec.field(default=None, name="bytes")

    def text(self) -> bytes:
        """Its UTF-8 bytes, a part of a character included."""
        unfaithful = "\ufffd" in self.token or self.token.startswith("token_id:")
        return bytes(self.utf8) if self.utf8 is not None and unfaithful else self.token.encode()


class Logprobs(msgspec.Struct):
    content: list[Token] | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: "_Cached | None" = None

    @property
    def cached_tokens(self) -> int:
        return (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class Message(msgspec.Struct):
    """The part of a message, or of a delta, that the trace keeps."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = _NULL


class Choice(msgspec.Struct):
    index: int = 0
    message: Message | None = None
    delta: Message | None = None
    logprobs: msgspec.Raw = _NULL
    finish_reason: str | None = None

    def tokens(self) -> list[Token]:
        """The tokens that come with logprobs; empty when the engine sent none."""
        found = _LOGPROBS.decode(self.logprobs)
        return found.content or [] if found is not None else []


class Reply(msgspec.Struct):
    """A whole completion or one chunk of a stream: the same fields, `message` or `delta`."""

    id: str = ""
    model: str = ""
    choices: list[Choice] = []
    usage: Usage | None = None
    error: msgspec.Raw = _NULL


def parse_reply(body: bytes) -> Reply:
    """Raises msgspec.DecodeError when the engine's bytes are not a completion."""
    return _REPLY.decode(body)


def without_logprobs(body: bytes, reply: Reply) -> bytes:
    """`body` as it would read had nobody asked for logprobs; all other bytes are untouched.

    A raw logprobs object holds unescaped quotes, so it cannot occur inside a JSON string.
    """
    for choice in reply.choices:
        if is_there(choice.logprobs):
            body = body.replace(bytes(choice.logprobs), b"null", 1)
    return body


def for_client(asked: ChatRequest, payload: bytes, reply: Reply) -> bytes | None:
    """The payload as the client's own request would have brought it; None: drop the chunk."""
    if asked.stream and not reply.choices and reply.usage is not None and not asked.include_usage:
        return None
    return payload if asked.logprobs else without_logprobs(payload, reply)


def error_message(body: bytes) -> tuple[str, str | None]:
    """What an engine's error body says, and the parameter it blames, whatever its shape."""
    try:
        found = _ERROR.decode(body)
    except msgspec.DecodeError:
        return body[:200].decode(errors="replace").strip() or "no explanation given", None
    inner = found.error
    if isinstance(inner, _ErrorBody):
        return inner.message or "no explanation given", inner.param
    return inner or found.message or found.detail_text() or "no explanation given", None


class _ErrorBody(msgspec.Struct):
    message: str | None = None
    param: str | None = None


class _ErrorEnvelope(msgspec.Struct):
    error: _ErrorBody | str | None = None
    message: str | None = None
    detail: msgspec.Raw = _NULL

    def detail_text(self) -> str:
        return bytes(self.detail).decode(errors="replace") if is_there(self.detail) else ""


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STR = msgspec.json.Decoder(str | None)
_INT = msgspec.json.Decoder(int | None)
_BOOL = msgspec.json.Decoder(bool | None)
_LIST = msgspec.json.Decoder(list[msgspec.Raw] | None)
_OPTIONS = msgspec.json.Decoder(_StreamOptions | None)
_OPTION_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_REPLY = msgspec.json.Decoder(Reply)
_LOGPROBS = msgspec.json.Decoder(Logprobs | None)
_ERROR = msgspec.json.Decoder(_ErrorEnvelope)
