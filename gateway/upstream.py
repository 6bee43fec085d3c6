"""One OpenAI-compatible backend: its replicas, timeouts, retries, and how to hang up on it."""

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from gateway.call import Call, Ending, url_of
from gateway.config import Timeouts
from gateway.errors import (
    UpstreamCut,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
)
from gateway.sse import DONE, MalformedStream, SseDecoder
from gateway.transport import Response, Transport, TransportError
from gateway.watchdog import Watchdog
from gateway.wire import error_message

_RETRY_PAUSE_S = 0.05
_OK = 200
_THE_CLIENTS = frozenset({400, 413, 422, 429})
"""Statuses that the client can do something about; all others are between us and the engine."""


@dataclass(slots=True)
class Replica:
    """One base URL and the calls that run on it."""

    base_url: str
    in_flight: int = 0

    @contextmanager
    def busy(self) -> Iterator[None]:
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


@dataclass(frozen=True, slots=True)
class Upstream:
    """Asks the model that the engine knows as `model`.

    Retries happen only before the first byte of an answer and only after a broken connection: an
    engine that answered, with whatever status, is not asked again.
    """

    name: str
    model: str
    replicas: tuple[Replica, ...]
    timeouts: Timeouts
    retries: int
    transport: Transport
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        return sum(replica.in_flight for replica in self.replicas)

    async def ask(self, call: Call) -> bytes:
        """A whole answer. Raises UpstreamFailed, UpstreamTimedOut or UpstreamRejected."""
        replica = self._least_loaded()
        with replica.busy():
            try:
                async with asyncio.timeout(self.timeouts.total_s):
                    response = await self._open(replica, call)
                    try:
                        return await response.read()
                    except TransportError as error:
                        raise UpstreamCut(self.name, str(error)) from error
                    finally:
                        response.close()
            except TimeoutError as error:
                limit = f"no whole answer within total_s = {self.timeouts.total_s:g}"
                raise UpstreamTimedOut(self.name, limit) from error

    async def stream(self, call: Call) -> "EventStream":
        """An answer as it is written; returns once its first event is here, so that until then
        a failure can still become a fallback. Raises as `ask`. Close what is returned.
        """
        limit_s = self.timeouts.first_token_s
        replica = self._least_loaded()
        events = EventStream(self.name, self.timeouts, replica, call.ending)
        with events.closed_on_error():
            try:
                async with asyncio.timeout(limit_s):
                    await events.begin(await self._open(replica, call))
            except TimeoutError as error:
                limit = f"no first token within first_token_s = {limit_s:g}"
                raise UpstreamTimedOut(self.name, limit) from error
        return events

    def _least_loaded(self) -> Replica:
        return min(self.replicas, key=lambda each: each.in_flight)

    async def _open(self, replica: Replica, call: Call) -> Response:
        url = url_of(replica.base_url, call.path)
        for attempt in range(self.retries + 1):
            try:
                response = await self.transport.post(url, self.headers, call.body)
            except TransportError as error:
                if attempt == self.retries:
                    raise UpstreamFailed(self.name, str(error)) from error
                await asyncio.sleep(_RETRY_PAUSE_S * (1 + random.random()) * 2**attempt)  # noqa: S311 - jitter
            else:
                if response.status != _OK:
                    raise await self._refusal(response)
                return response
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _refusal(self, response: Response) -> UpstreamFailed | UpstreamRejected:
        try:
            message, param = error_message(await response.read())
        except TransportError as error:
            message, param = str(error), None
        finally:
            response.close()
        if response.status in _THE_CLIENTS:
            rejected = UpstreamRejected(self.name, response.status, message, param)
            rejected.retry_after_s = _seconds(response.headers.get("Retry-After"))
            return rejected
        return UpstreamFailed(self.name, f"status {response.status}: {message}")


class EventStream:
    """The events of one streamed answer. The replica's slot is held until `close`."""

    def __init__(self, upstream: str, timeouts: Timeouts, replica: Replica, ending: Ending) -> None:
        self._upstream = upstream
        self._timeouts = timeouts
        self._ending = ending
        self._slot = ExitStack()
        self._slot.enter_context(replica.busy())
        self._decoder = SseDecoder()
        self._ready: deque[bytes] = deque()
        self._response: Response | None = None
        self._watchdog: Watchdog | None = None
        self._done = False

    async def begin(self, response: Response) -> None:
        """Take the response over and wait for its first event."""
        self._response = response
        content_type = response.headers.get("Content-Type", "")
        if "text/event-stream" not in content_type:
            raise UpstreamFailed(
                self._upstream, f"answered a stream with {content_type or 'no content type'}"
            )
        while not self._ready:
            await self._read()
            if self._done:
                raise UpstreamCut(self._upstream, "the stream ended before its first event")
        self._watchdog = Watchdog(
            asyncio.get_running_loop(),
            idle_s=self._timeouts.idle_s,
            total_s=self._timeouts.total_s,
            bark=response.close,
        )

    @property
    def ready(self) -> bool:
        """Whether `next` returns at once."""
        return bool(self._ready)

    async def next(self) -> bytes | None:
        """The next event's payload; None after [DONE], or at the end of a stream that has none.

        Raises UpstreamCut when [DONE] is missing, UpstreamTimedOut when the answer stalls.
        """
        while not self._ready:
            if self._done:
                return None
            await self._read()
        payload = self._ready.popleft()
        if payload == DONE:
            self._done = True
            await self._read_to_end()
            return None
        return payload

    async def _read(self) -> None:
        assert self._response is not None  # noqa: S101 - begin() comes first
        try:
            data = await self._response.read_some()
            self._ready.extend(self._decoder.feed(data))
        except TransportError as error:
            if self._watchdog is not None and (limit := self._watchdog.barked):
                raise UpstreamTimedOut(self._upstream, f"stalled: {limit}") from error
            raise UpstreamCut(self._upstream, str(error)) from error
        except MalformedStream as error:
            raise UpstreamCut(self._upstream, str(error)) from error
        if not data:
            if self._ending is Ending.DONE_MARKER:
                raise UpstreamCut(self._upstream, "the stream ended without [DONE]")
            if self._decoder.pending:
                raise UpstreamCut(self._upstream, "the stream ended within an event")
            self._done = True
        if self._watchdog is not None:
            self._watchdog.pat()

    async def _read_to_end(self) -> None:
        """Take what follows [DONE], so that the connection can serve the next request."""
        assert self._response is not None  # noqa: S101 - begin() comes first
        try:
            while await self._response.read_some():
                pass
        except TransportError:
            pass  # the answer is whole; only the connection is lost

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """For whoever holds it before it is handed on: an error or a cancellation hangs up."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up; an engine that still writes stops. Safe to call twice."""
        self._slot.close()
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._response is not None:
            self._response.close()


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdigit() else None
