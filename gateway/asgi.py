"""The exchange over raw ASGI, behind whatever server there is."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from gateway.errors import ClientLeft, TooLarge
from gateway.http import JSON_TYPE, STREAM_TYPE, HeaderLines, Http, not_empty

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATIENCE_S = 0.01


class AsgiHttp(Http):
    """By messages: `http.request`, `http.response.start`, `http.response.body`."""

    __slots__ = ("_receive", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_body_bytes: int) -> None:
        super().__init__(dict(scope["headers"]), max_body_bytes=max_body_bytes)
        self._receive = receive
        self._send = send

    async def body(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body_bytes:
                raise TooLarge(self._max_body_bytes)
            parts.append(part)
            if not message.get("more_body", False):
                break
        return not_empty(parts[0] if len(parts) == 1 else b"".join(parts))

    async def reply(self, status: int, body: bytes, lines: HeaderLines = b"") -> None:
        await self._start(status, b"%bcontent-length: %d\r\n%b" % (JSON_TYPE, len(body), lines))
        self.finished = True
        await self._send({"type": "http.response.body", "body": body})

    async def start_stream(self, lines: HeaderLines = b"") -> None:
        await self._start(200, STREAM_TYPE + lines)

    async def send(self, events: bytes) -> None:
        await self._send({"type": "http.response.body", "body": events, "more_body": True})

    async def end_stream(self, events: bytes) -> None:
        self.finished = True
        await self._send({"type": "http.response.body", "body": events})

    async def _start(self, status: int, lines: HeaderLines) -> None:
        self.started = True
        named = [line.partition(b": ") for line in lines.split(b"\r\n")[:-1]]
        headers = [(name, value) for name, _, value in named]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def hung_up(self) -> bool:
        """Wait until the exchange is over; True: the client left before the answer's end."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        return not self.finished

    def cancelled_by_hang_up(self) -> AbstractContextManager[object]:
        return HangUp(self)


class HangUp:
    """While it lasts, a client that leaves cancels the current task: `with`.

    Turns that cancellation into ClientLeft and lets every other one through, as
    `asyncio.timeout` does with its own. Enter it only after the body was read. Watching takes a
    task of its own, so it begins after `_PATIENCE_S`: most answers are over before that, and a
    client that left earlier is noticed then.
    """

    def __init__(self, http: AsgiHttp) -> None:
        self._http = http
        self._left = False
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._begin)
        return self

    def _begin(self) -> None:
        # Not a background task: it ends with this block, whatever happens.
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        if await self._http.hung_up():
            self._left = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._left and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientLeft from error
