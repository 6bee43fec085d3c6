"""One HTTP exchange over raw ASGI: the body in, an answer or a stream out, the hang-up seen."""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from gateway.errors import BadRequest, ClientLeft, NotJson, TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

_PATIENCE_S = 0.01
_JSON_TYPE = re.compile(rb"application/(?:json|[^;]*\+json)\s*(?:;|$)", re.IGNORECASE)
JSON = (b"content-type", b"application/json")
STREAM = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))


class Http:
    """A request and the way to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_body_bytes: int) -> None:
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._send = send
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
        if kind != b"application/json" and not _JSON_TYPE.match(kind):
            raise NotJson(kind.decode("latin-1"))

    async def body(self) -> bytes:
        """Raises TooLarge, or ClientLeft when the connection ends within the body."""
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
        return self._not_empty(parts[0] if len(parts) == 1 else b"".join(parts))

    def _not_empty(self, body: bytes) -> bytes:
        if not body:
            raise BadRequest("", "the body is empty; send a JSON object")
        return body

    async def reply(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a whole JSON answer."""
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, [JSON, length, *headers])
        self.finished = True
        await self._send({"type": "http.response.body", "body": body})

    async def start_stream(self, headers: Headers = ()) -> None:
        """The head of an answer in server-sent events."""
        await self._start(200, [*STREAM, *headers])

    async def send(self, events: bytes) -> None:
        await self._send({"type": "http.response.body", "body": events, "more_body": True})

    async def end_stream(self, events: bytes) -> None:
        """The last events, or none."""
        self.finished = True
        await self._send({"type": "http.response.body", "body": events})

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def hung_up(self) -> bool:
        """Wait until the exchange is over; True: the client left before the answer's end."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        return not self.finished

    def cancelled_by_hang_up(self) -> AbstractContextManager[object]:
        """Within it, a client that leaves ends the work: ClientLeft. The body must be read."""
        return HangUp(self)


class HangUp:
    """While it lasts, a client that leaves cancels the current task: `with`.

    Turns that cancellation into ClientLeft and lets every other one through, as
    `asyncio.timeout` does with its own. Enter it only after the body was read. Watching takes a
    task of its own, so it begins after `_PATIENCE_S`: most answers are over before that, and a
    client that left earlier is noticed then.
    """

    def __init__(self, http: Http) -> None:
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
