"""One HTTP response while it arrives: its head, the bytes nobody has read yet, and who waits."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Protocol

from gateway.transport import TransportError

_LINE_END = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_AFTER_VERSION = slice(8, 10)
_INTERIM = b" 1"


class Carrier(Protocol):
    """The connection that brings the response."""

    def hang_up(self) -> None: ...
    def resume_reading(self) -> None: ...


class Headers(Mapping[str, str]):
    """The headers of a head that httptools found well-formed, each read when it is asked for."""

    __slots__ = ("_block", "_folded")

    def __init__(self, data: bytes) -> None:
        """`data`: everything from the first byte on, interim heads and some body included."""
        while True:
            data = data.lstrip(_LINE_END)
            block = data[: data.index(_END_OF_HEAD) + 2]
            if block[_AFTER_VERSION] != _INTERIM:
                break
            data = data[len(block) :]
        self._block = block
        self._folded = block.lower()

    def __getitem__(self, name: str) -> str:
        field = b"\r\n%b:" % name.lower().encode()
        start = self._folded.find(field)
        if start < 0:
            raise KeyError(name)
        start += len(field)
        return _text(self._block[start : self._block.index(_LINE_END, start)])

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._lines()))

    def __len__(self) -> int:
        return len(dict(self._lines()))

    def all(self, name: str) -> list[str]:
        """The values of a header that may be repeated; its name in lower case."""
        return [value for each, value in self._lines() if each == name]

    def _lines(self) -> Iterator[tuple[str, str]]:
        for line in self._block.split(_LINE_END)[1:-1]:
            name, _, value = line.partition(b":")
            yield _text(name).lower(), _text(value)


def _text(value: bytes) -> str:
    return value.strip(b" \t").decode("latin-1")


class HttpResponse:
    """A `transport.Response`. Its public attributes belong to the connection that fills it."""

    __slots__ = (
        "_headers",
        "_loop",
        "begun",
        "carrier",
        "error",
        "head",
        "paused",
        "pieces",
        "status",
        "unread",
        "waiter",
        "whole",
    )

    def __init__(self, carrier: Carrier, loop: asyncio.AbstractEventLoop) -> None:
        self.carrier: Carrier | None = carrier
        """None once no more bytes come, for whatever reason."""
        self.status = 0
        """0 until the head is complete."""
        self.head = b""
        """What came up to the read that completed the head; b"" = not a single byte."""
        self.pieces: list[bytes] = []
        self.unread = 0
        """Bytes in `pieces`."""
        self.paused = False
        self.whole = False
        """The reader wants nothing before it can have everything."""
        self.begun: asyncio.Future[None] = loop.create_future()
        """Done when the head is complete, or with what became of it instead."""
        self.waiter: asyncio.Future[None] | None = self.begun
        self.error: TransportError | None = None
        self._headers: Headers | None = None
        self._loop = loop

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = Headers(self.head)
        return self._headers

    async def read_some(self) -> bytes:
        while not self.pieces:
            if self.carrier is None:
                if self.error is not None:
                    raise self.error
                return b""
            self.waiter = waiter = self._loop.create_future()
            await waiter
        return self._take()

    async def read(self) -> bytes:
        if self.carrier is not None:
            self.whole = True
            try:
                if self.paused:
                    self._go_on()
                while self.carrier is not None:
                    self.waiter = waiter = self._loop.create_future()
                    await waiter
            finally:
                self.whole = False
        if self.error is not None:
            raise self.error
        return self._take()

    def close(self) -> None:
        if self.carrier is not None:
            self.pieces.clear()
            self.carrier.hang_up()

    def broke(self, words: str, *, safe: bool, cause: Exception | None) -> None:
        """Called by the connection: nothing more will come."""
        self.error = TransportError(words, safe=safe)
        self.error.__cause__ = cause
        self.carrier = None
        self.wake()

    def wake(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _take(self) -> bytes:
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        if self.paused:
            self._go_on()
        return data

    def _go_on(self) -> None:
        self.paused = False
        if self.carrier is not None:
            self.carrier.resume_reading()
