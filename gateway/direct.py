"""The exchange on the client's connection itself, without messages in between.

ASGI asks for two messages an answer and one a chunk, and uvicorn checks each header with regular
expressions: more work than all of ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from types import TracebackType
from typing import Protocol, Self

from uvicorn.protocols.http.flow_control import FlowControl

from gateway.errors import ClientLeft, TooLarge
from gateway.http import JSON_TYPE, STREAM_TYPE, HeaderLines, Http, not_empty

READ_AHEAD_BYTES = 65_536
"""So much of a body is taken in before the caller is known."""

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}


class Line(Protocol):
    """The connection that a request came by: uvicorn's."""

    flow: FlowControl
    transport: asyncio.Transport

    def server_lines(self) -> HeaderLines:
        """What the server itself says with every answer."""

    def answered(self, exchange: "DirectHttp", /) -> None:
        """The answer's last byte is written."""


class DirectHttp(Http):
    """Public attributes belong to the connection.

    It is its own context manager for `cancelled_by_hang_up`: one object an exchange.
    """

    __slots__ = (
        "_armed",
        "_came",
        "_left",
        "_line",
        "_parts",
        "_size",
        "_task",
        "begun",
        "disconnected",
        "is_its_turn",
        "keep_alive",
        "response_complete",
        "serve",
        "whole",
    )

    def __init__(
        self,
        line: Line,
        serve: "Serve",
        headers: Mapping[bytes, bytes],
        *,
        keep_alive: bool,
        max_body_bytes: int,
    ) -> None:
        super().__init__(headers, max_body_bytes=max_body_bytes)
        self._line = line
        self._parts: list[bytes] = []
        self._size = 0
        self._came: asyncio.Future[None] | None = None
        self._armed = self._left = False
        self._task: asyncio.Task[object] | None = None
        self.serve = serve
        self.keep_alive = keep_alive
        self.is_its_turn = False
        """What came before it on the connection is answered."""
        self.begun = False
        self.whole = False
        """The body is here, to its end."""
        self.disconnected = False
        self.response_complete = False

    # What the connection tells

    @property
    def is_ready(self) -> bool:
        """Whether enough of it is here for the journey to begin."""
        return self.whole or self._size > READ_AHEAD_BYTES

    def feed(self, part: bytes) -> bool:
        """A piece of the body; False: that is enough for now."""
        self._size += len(part)
        if self._size <= self._max_body_bytes:
            self._parts.append(part)
        if self._came is not None:
            self._wake()
        return self._size <= READ_AHEAD_BYTES

    def fed(self) -> None:
        """The body has ended."""
        self.whole = True
        if self._came is not None:
            self._wake()

    def hung_up(self) -> None:
        """The client has left."""
        if self.response_complete or self.disconnected:
            return
        self.disconnected = True
        self._wake()
        if self._armed and self._task is not None:
            self._armed = False
            self._left = True
            self._task.cancel()

    def _wake(self) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(None)

    # What the journey does

    async def body(self) -> bytes:
        while not self.whole and self._size <= self._max_body_bytes:
            if self.disconnected:
                raise ClientLeft
            self._line.flow.resume_reading()
            self._came = asyncio.get_running_loop().create_future()
            await self._came
        if self._size > self._max_body_bytes:
            raise TooLarge(self._max_body_bytes)
        parts = self._parts
        return not_empty(parts[0] if len(parts) == 1 else b"".join(parts))

    async def reply(self, status: int, body: bytes, lines: HeaderLines = b"") -> None:
        self.started = self.finished = True
        line = self._line
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        answer = b"%b%b%bcontent-length: %d\r\n%b%b\r\n%b" % (
            _STATUS_LINES[status],
            line.server_lines(),
            JSON_TYPE,
            len(body),
            lines,
            closing,
            body,
        )
        if line.flow.write_paused:
            await line.flow.drain()
        if not self.disconnected:
            line.transport.write(answer)
            line.answered(self)

    async def start_stream(self, lines: HeaderLines = b"") -> None:
        self.started = True
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        head = b"%b%b%btransfer-encoding: chunked\r\n%b%b\r\n" % (
            _STATUS_LINES[200],
            self._line.server_lines(),
            STREAM_TYPE,
            lines,
            closing,
        )
        await self._write(head)

    async def send(self, events: bytes) -> None:
        if events:
            await self._write(b"%x\r\n%b\r\n" % (len(events), events))

    async def end_stream(self, events: bytes) -> None:
        chunk = b"%x\r\n%b\r\n" % (len(events), events) if events else b""
        self.finished = True
        await self._write(chunk + b"0\r\n\r\n")
        if not self.disconnected:
            self._line.answered(self)

    async def _write(self, data: bytes) -> None:
        line = self._line
        if line.flow.write_paused:
            await line.flow.drain()
        if not self.disconnected:
            line.transport.write(data)

    def cancelled_by_hang_up(self) -> AbstractContextManager[object]:
        return self

    def __enter__(self) -> Self:
        if self.disconnected:
            raise ClientLeft
        if self._task is None:
            self._task = asyncio.current_task()
        self._armed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._armed = False
        if self._left and self._task is not None:
            self._left = False
            if self._task.uncancel() == 0 and kind is asyncio.CancelledError:
                raise ClientLeft from error


Serve = Callable[[Http], Awaitable[None]]
"""Answers one request."""
