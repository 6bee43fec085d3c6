"""The events of one streamed answer, from its first to its end, its break or its hang-up."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.alarms import Alarms
from gateway.call import Ending
from gateway.errors import UpstreamCut, UpstreamFailed, UpstreamRejected, UpstreamTimedOut
from gateway.refusal import error_event, in_words
from gateway.sse import DONE, MalformedStream, SseDecoder
from gateway.transport import Response, TransportError
from gateway.visit import Visit
from gateway.watchdog import Watchdog

_READ_TO_END_S = 0.25


class EventStream:
    """The replica's slot is held until `close`."""

    def __init__(self, upstream: str, visit: Visit, ending: Ending, alarms: Alarms) -> None:
        self._upstream = upstream
        self._visit = visit
        self._ending = ending
        self._alarms = alarms
        self._decoder = SseDecoder()
        self._ready: deque[bytes] = deque()
        self._response: Response | None = None
        self._watchdog: Watchdog | None = None
        self._done = False

    async def begin(self, response: Response) -> None:
        """Take the response over and wait for its first event."""
        self._response = response
        content_type = response.headers.get("content-type") or "no content type"
        if "text/event-stream" not in content_type:
            raise await self._not_a_stream(content_type)
        while not self._ready:
            try:
                self._take(await response.read_some())
            except TransportError as error:
                raise self._broken(error) from error
            if self._done:
                raise UpstreamCut(self._upstream, "the stream ended before its first event")
        self._refuse_error(self._ready[0])

    def watch(self, *, idle_s: float, ends_at_s: float, limit: str) -> None:
        """From here on it may be silent for `idle_s`, and ends at `ends_at_s`, which `limit`
        explains.
        """
        assert self._response is not None  # noqa: S101 - begin() comes first
        self._watchdog = Watchdog(
            self._alarms,
            idle_s=idle_s,
            ends_at_s=ends_at_s,
            limit=limit,
            bark=self._response.close,
        )

    @property
    def ready(self) -> bool:
        """Whether `next` returns at once."""
        return bool(self._ready)

    async def next(self) -> bytes | None:
        """The next event's payload; None after [DONE], or at the end of a stream that has none.

        Raises UpstreamCut when [DONE] is missing, UpstreamTimedOut when the answer stalls, and
        UpstreamFailed or UpstreamRejected for an event that is an error.
        """
        while not self._ready:
            if self._done:
                return None
            assert self._response is not None  # noqa: S101 - begin() comes first
            try:
                self._take(await self._response.read_some())
            except TransportError as error:
                raise self._broken(error) from error
        payload = self._ready.popleft()
        if payload == DONE:
            self._done = True
            await self._read_to_end()
            return None
        if b'"error"' in payload[:12]:
            self._refuse_error(payload)
        return payload

    def _refuse_error(self, payload: bytes) -> None:
        if (trouble := error_event(self._upstream, payload)) is not None:
            if isinstance(trouble, UpstreamFailed):
                self._visit.failed()
            raise trouble

    def _take(self, data: bytes) -> None:
        if not data:
            self._end_of_body()
            return
        try:
            self._ready.extend(self._decoder.feed(data))
        except MalformedStream as error:
            self._visit.failed()
            raise UpstreamCut(self._upstream, str(error)) from error
        if self._watchdog is not None:
            self._watchdog.pat()

    def _broken(self, error: TransportError) -> UpstreamFailed:
        self._visit.failed()
        if self._watchdog is not None and (limit := self._watchdog.barked):
            return UpstreamTimedOut(self._upstream, f"stalled: {limit}")
        return UpstreamCut(self._upstream, str(error))

    def _end_of_body(self) -> None:
        if self._ending is Ending.DONE_MARKER:
            self._visit.failed()
            raise UpstreamCut(self._upstream, "the stream ended without [DONE]")
        if self._decoder.pending:
            self._visit.failed()
            raise UpstreamCut(self._upstream, "the stream ended within an event")
        self._done = True

    async def _read_to_end(self) -> None:
        """Take what follows [DONE], so that the connection can serve the next request; an engine
        that holds it open is not waited for.
        """
        assert self._response is not None  # noqa: S101 - begin() comes first
        try:
            with self._alarms.within(_READ_TO_END_S):
                while await self._response.read_some():
                    pass
        except (TransportError, TimeoutError):
            pass  # the answer is whole; only the connection is lost

    async def _not_a_stream(self, content_type: str) -> UpstreamFailed | UpstreamRejected:
        assert self._response is not None  # noqa: S101 - begin() comes first
        try:
            body = await self._response.read_some()
        except TransportError as error:
            body = str(error).encode()
        if (trouble := error_event(self._upstream, body)) is None:
            kind = content_type.partition(";")[0]
            trouble = UpstreamFailed(
                self._upstream, f"answered a stream with {kind}: {in_words(body)}"
            )
        if isinstance(trouble, UpstreamFailed):
            self._visit.failed()
        return trouble

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
        self._visit.end()
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._response is not None:
            self._response.close()
