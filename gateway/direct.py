"""The same exchange written straight to uvicorn's connection, without messages in between.

ASGI asks for two messages an answer and one a chunk, and uvicorn checks each header with regular
expressions: more work than all of ours. What it does with the connection besides (keep-alive,
pipelining, flow control, shutdown) stays its own: an answer ends as its `send` ends one. Behind
any other server the plain `Http` serves.
"""

import asyncio
from contextlib import AbstractContextManager
from http import HTTPStatus
from types import TracebackType
from typing import Self

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.asgi import JSON, STREAM, Headers, Http, Receive, Scope, Send
from gateway.errors import ClientLeft, TooLarge

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}


def exchange(scope: Scope, receive: Receive, send: Send, *, max_body_bytes: int) -> Http:
    """The quickest way there is to answer this request."""
    cycle = getattr(receive, "__self__", None)
    if isinstance(cycle, RequestResponseCycle):
        return DirectHttp(cycle, scope, receive, send, max_body_bytes=max_body_bytes)
    return Http(scope, receive, send, max_body_bytes=max_body_bytes)


class DirectHttp(Http):
    """Header values are ours or the config's, and hold no line breaks."""

    def __init__(
        self,
        cycle: RequestResponseCycle,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        max_body_bytes: int,
    ) -> None:
        super().__init__(scope, receive, send, max_body_bytes=max_body_bytes)
        self._cycle = cycle

    async def body(self) -> bytes:
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return await super().body()
        body = bytes(cycle.body)
        cycle.body = bytearray()
        cycle.message_event.clear()
        if len(body) > self._max_body_bytes:
            raise TooLarge(self._max_body_bytes)
        return self._not_empty(body)

    async def reply(self, status: int, body: bytes, headers: Headers = ()) -> None:
        length = (b"content-length", b"%d" % len(body))
        head = self._head(status, (JSON, length, *headers))
        self.started = self.finished = True
        await self._write(head + body, last=True)

    async def start_stream(self, headers: Headers = ()) -> None:
        self.started = True
        chunked = (b"transfer-encoding", b"chunked")
        await self._write(self._head(200, (*STREAM, chunked, *headers)))

    async def send(self, events: bytes) -> None:
        if events:
            await self._write(b"%x\r\n%b\r\n" % (len(events), events))

    async def end_stream(self, events: bytes) -> None:
        chunk = b"%x\r\n%b\r\n" % (len(events), events) if events else b""
        self.finished = True
        await self._write(chunk + b"0\r\n\r\n", last=True)

    def _head(self, status: int, headers: Headers) -> bytes:
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        lines = [b"%b: %b\r\n" % header for header in (*cycle.default_headers, *headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        return b"%b%b\r\n" % (_STATUS_LINES[status], b"".join(lines))

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        cycle.transport.write(data)
        if last:
            cycle.response_complete = True
            if not cycle.keep_alive:
                cycle.transport.close()
            cycle.on_response()

    def cancelled_by_hang_up(self) -> AbstractContextManager[object]:
        return Bell(self._cycle)


class Bell:
    """As `HangUp`, noticed at once and without a task: uvicorn tells a lost connection through the
    cycle's event, and this takes the event's place. The body must have been read.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._left = False
        self._armed = False

    def __enter__(self) -> Self:
        if self._cycle.disconnected:
            raise ClientLeft
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._task = task
        self._armed = True
        self._cycle.message_event = self  # type: ignore[assignment]  # all that is called is `set`
        return self

    def set(self) -> None:
        if self._armed and self._cycle.disconnected:
            self._armed = False
            self._left = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._armed = False
        if self._left and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientLeft from error
