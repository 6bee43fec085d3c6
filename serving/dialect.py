"""A dialect: how one kind of engine reads requests and writes answers; bytes in, bytes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from serving.say import Say

CREATED = 1_795_324_616
"""Unix seconds of everything a scripted engine makes: it has no clock."""
DONE = b"data: [DONE]\n\n"

encode = msgspec.json.encode


class Refused(Exception):
    """A request that the engine answers with this error body."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(body.decode())
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer in its three parts, each event framed for the wire."""

    opening: tuple[bytes, ...]
    """What comes before the first token: role chunks, `response.created`."""
    tokens: tuple[bytes, ...]
    """One element a token: its events in every choice that still speaks."""
    closing: tuple[bytes, ...]
    """What ends it: the end-of-turn token, usage if asked for, [DONE] or the terminal event."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the engine that is played."""

    model: str
    context_tokens: int
    tools: bool
    """Started so that it reads tool calls out of what the model writes."""
    stored: dict[str, bytes] | None = field(default_factory=dict)
    """The bodies of /v1/responses by id; None: this engine stores none."""


class Answer(Protocol):
    """One request, understood: whatever is said will be said in its shape."""

    @property
    def streamed(self) -> bool: ...

    @property
    def last_words(self) -> str:
        """What an `Echo` repeats."""

    def whole(self, says: Sequence[Say]) -> bytes:
        """The body of an answer that is not streamed; choice i says `says[i % len(says)]`."""

    def stream(self, says: Sequence[Say]) -> Stream: ...

    def error_event(self, message: str, *, failed: bool) -> bytes:
        """How an error reads in the middle of the stream, to its last byte."""


class Dialect(Protocol):
    """Paths are whole: /v1/chat/completions, /tokenize."""

    def understand(self, path: str, raw: bytes, facts: Facts, *, number: int) -> Answer | None:
        """None where nothing is generated at this path. Raises Refused as the engine refuses.

        `number` is this request's own among all; ids are made of it.
        """

    def probe(self, method: str, path: str, raw: bytes, facts: Facts) -> bytes:
        """Everything else: models, tokenize, a stored response. Raises Refused."""

    def error(self, status: int, message: str, *, kind: str) -> bytes:
        """An error body; `kind` is the status' phrase."""


def sse(data: bytes, *, event: str | None = None) -> bytes:
    """One server-sent event."""
    name = b"" if event is None else b"event: %b\n" % event.encode()
    return name + b"data: " + data + b"\n\n"
