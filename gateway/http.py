"""One HTTP exchange as the journey sees it: a body in, an answer or a stream out, hang-ups seen.

`AsgiHttp` does it by ASGI's messages, `DirectHttp` on the connection itself.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager

from gateway.errors import BadRequest, NotJson

HeaderLines = bytes
"""Whole header lines, each with its CRLF. Names in lower case; values that hold no line break."""

JSON_TYPE = b"content-type: application/json\r\n"
STREAM_TYPE = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"

_JSON = re.compile(rb"application/(?:json|[^;]*\+json)\s*(?:;|$)", re.IGNORECASE)


class Http(ABC):
    """A request and the way to answer it."""

    __slots__ = ("_headers", "_max_body_bytes", "finished", "started")

    def __init__(self, headers: Mapping[bytes, bytes], *, max_body_bytes: int) -> None:
        """headers: by name in lower case."""
        self._headers = headers
        self._max_body_bytes = max_body_bytes
        self.started = False
        self.finished = False

    def header(self, name: bytes) -> str | None:
        """`name` in lower case; the last one, where there are several."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def has_any(self, names: frozenset[bytes]) -> bool:
        """Names in lower case."""
        return not names.isdisjoint(self._headers)

    def refuse_other_than_json(self) -> None:
        """Raises NotJson. A page of another site can post text, but not JSON, unasked."""
        kind = self._headers.get(b"content-type", b"application/json")
        if kind != b"application/json" and not _JSON.match(kind):
            raise NotJson(kind.decode("latin-1"))

    @abstractmethod
    async def body(self) -> bytes:
        """Raises TooLarge, ClientLeft when the connection ends within the body, or BadRequest."""

    @abstractmethod
    async def reply(self, status: int, body: bytes, lines: HeaderLines = b"") -> None:
        """Send a whole JSON answer."""

    @abstractmethod
    async def start_stream(self, lines: HeaderLines = b"") -> None:
        """The head of an answer in server-sent events."""

    @abstractmethod
    async def send(self, events: bytes) -> None: ...

    @abstractmethod
    async def end_stream(self, events: bytes) -> None:
        """The last events, or none."""

    @abstractmethod
    def cancelled_by_hang_up(self) -> AbstractContextManager[object]:
        """Within it, a client that leaves ends the work: ClientLeft. The body must be read."""


def not_empty(body: bytes) -> bytes:
    """Raises BadRequest."""
    if not body:
        raise BadRequest("", "the body is empty; send a JSON object")
    return body
