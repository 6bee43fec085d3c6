"""OpenAI bytes to typed values. What we do not know stays as the bytes it came in.

A request is kept as a map from field name to raw JSON: fields of our own making are replaced or
added, every other value travels to the engine byte for byte. What is common to all endpoints is
here; each endpoint that generates (chat, completions, responses) adds its own shape.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

import msgspec

from gateway.call import Ending
from gateway.errors import BadRequest, GatewayError, openai_body
from gateway.origin import Origin
from gateway.reply import Reply
from gateway.spending import LastChunk
from gateway.sse import DONE, encode

Fields = Mapping[str, msgspec.Raw]
T = TypeVar("T")

TRUE = msgspec.Raw(b"true")
FALSE = msgspec.Raw(b"false")
ONE = msgspec.Raw(b"1")
NULL = msgspec.Raw(b"null")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding JSON raises: for its form or types, for bytes that are no UTF-8, for its depth."""
MOST_CHOICES = 128
"""OpenAI's limit: each choice has a gate of its own."""

_DONE_EVENT = encode(DONE)


def is_there(raw: msgspec.Raw) -> bool:
    """Whether a raw JSON value is something other than null."""
    return raw != NULL


def is_filled_list(raw: msgspec.Raw) -> bool:
    """Whether a raw JSON value is a list with something in it; its items are not looked at."""
    written = bytes(raw)
    return written.startswith(b"[") and not written[1:].lstrip().startswith(b"]")


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A parsed request; `fields` is the whole of it.

    choices: how many answers travel in one response, to all prompts. logprobs, include_usage:
    whether the client itself asked for them. last_chunk: of the one stream in which the client
    reads the answer, where it asked for usage.
    """

    path: ClassVar[str]
    """The engine's endpoint, below its base URL."""
    ending: ClassVar[Ending] = Ending.DONE_MARKER
    generates: ClassVar[bool] = True
    """Whether a model writes the answer token by token, so that a gate can judge it."""

    raw: bytes
    fields: Fields
    model: str
    stream: bool = False
    choices: int = 1
    prompts: int = 1
    logprobs: bool = False
    include_usage: bool = False
    last_chunk: LastChunk | None = None
    judgeable: bool = True
    """Whether the gate can read this answer's own tokens."""
    held_at: Origin | None = None
    """The one model that can answer, since it holds what the request goes on from."""

    def body_for(self, model: str, *, stream: bool | None = None, observe: bool = False) -> bytes:
        """The bytes for an engine that knows itself as `model`.

        stream: None keeps the client's wish. observe: also ask for logprobs, which the gate reads.
        A stream always asks for usage, which the trace needs; what the client did not ask for is
        stripped again by `shown`.
        """
        fields = dict(self.fields)
        fields["model"] = msgspec.Raw(_encode(model))
        if observe and not self.logprobs:
            self._observe(fields)
        streams = self.stream if stream is None else stream
        if streams != self.stream:
            fields["stream"] = TRUE if streams else FALSE
        if streams or "stream_options" in fields:
            self._with_usage(fields, streams=streams)
        return _encode(fields)

    @abstractmethod
    def hear(self, payload: bytes, *, stream: bool) -> Reply:
        """One event of a stream, or a whole answer. Raises msgspec.DecodeError if it is neither."""

    @abstractmethod
    def shown(self, payload: bytes, reply: Reply, origin: Origin) -> bytes | None:
        """The payload as the client's own request would have brought it; None: drop the event."""

    def framed(self, payload: bytes) -> bytes:
        """One event of a stream to the client."""
        return encode(payload)

    def ended(self) -> bytes:
        """What follows the last event of a whole stream."""
        if self.last_chunk is not None and (usage := self.last_chunk.written()) is not None:
            return encode(usage) + _DONE_EVENT
        return _DONE_EVENT

    def failed(self, error: GatewayError) -> bytes:
        """The event that ends a broken stream."""
        return encode(openai_body(error))

    def _observe(self, fields: dict[str, msgspec.Raw]) -> None:
        """Ask for logprobs."""

    def _with_usage(self, fields: dict[str, msgspec.Raw], *, streams: bool) -> None:
        """Ask a stream for its usage."""


def stream_usage(fields: dict[str, msgspec.Raw], *, streams: bool) -> None:
    """`stream_options.include_usage`, as chat and completions have it."""
    options = fields.get("stream_options")
    if not streams:
        fields.pop("stream_options", None)
    elif options is None:
        fields["stream_options"] = _USAGE_ONLY
    else:
        wished = known(fields, "stream_options", _OPTION_FIELDS) or {}
        fields["stream_options"] = as_json({**wished, "include_usage": TRUE})


def as_json(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def read_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Raises BadRequest when it is not a JSON object."""
    try:
        return _FIELDS.decode(body)
    except UNREADABLE as error:
        raise BadRequest("", f"the body is not a JSON object: {_in_words(error)}") from error


def read_model(fields: Fields) -> str:
    """Raises BadRequest."""
    model: str | None = known(fields, "model", STR)
    if not model:
        raise BadRequest("model", "is required: the name of a route, see GET /v1/models")
    return model


def read_count(fields: Fields, name: str) -> int:
    """A number of answers, at most `MOST_CHOICES`; 1 where there is none. Raises BadRequest."""
    if name not in fields or (count := read_integer(fields, name)) is None:
        return 1
    if not 1 <= count <= MOST_CHOICES:
        raise BadRequest(name, f"must be between 1 and {MOST_CHOICES}, got {count}")
    return count


def read_integer(fields: Fields, name: str) -> int | None:
    """JSON knows no difference between 2 and 2.0. Raises BadRequest."""
    if name not in fields:
        return None
    number: float | None = known(fields, name, NUMBER)
    if number is None or isinstance(number, int):
        return number
    if not number.is_integer():
        raise BadRequest(name, f"must be a whole number, got {number}")
    return int(number)


def read_flag(fields: Fields, name: str) -> bool:
    """False where it is absent or null. Raises BadRequest."""
    raw = fields.get(name)
    if raw is None:
        return False
    return raw == TRUE or bool(known(fields, name, BOOL))


def read_include_usage(fields: Fields) -> bool:
    """Raises BadRequest."""
    if "stream_options" not in fields:
        return False
    options = known(fields, "stream_options", _OPTIONS)
    return bool(options and options.include_usage)


def known(fields: Fields, name: str, decoder: "msgspec.json.Decoder[T | None]") -> T | None:
    """The typed value of a field, None where it is absent or null. Raises BadRequest naming it."""
    if (raw := fields.get(name)) is None:
        return None
    try:
        return decoder.decode(raw)
    except UNREADABLE as error:
        raise BadRequest(name, _in_words(error)) from error


def _in_words(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


STR = msgspec.json.Decoder(str | None)
NUMBER = msgspec.json.Decoder(int | float | None)
BOOL = msgspec.json.Decoder(bool | None)
LIST = msgspec.json.Decoder(list[msgspec.Raw] | None)
_encode = msgspec.json.Encoder().encode
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OPTIONS = msgspec.json.Decoder(_StreamOptions | None)

_OPTION_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_USAGE_ONLY = msgspec.Raw(b'{"include_usage":true}')
