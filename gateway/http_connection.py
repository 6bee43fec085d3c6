"""One kept-alive HTTP/1.1 connection: a request goes out, httptools reads the answer."""

import asyncio
from typing import Protocol, cast

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from gateway.http_response import HttpResponse
from gateway.transport import in_words

MOST_HEAD_BYTES = 64 * 1024
MOST_UNREAD_BYTES = 256 * 1024
"""With more than this waiting to be read, we stop reading from the socket."""
MOST_WHOLE_BYTES = 512 * 1024 * 1024
"""A body that is asked for whole may not be larger."""
MOST_BARREN_BYTES = 512 * 1024
"""Trailers and chunk extensions without a byte of body between them; more than one read brings."""
SLICE_BYTES = 128 * 1024
"""A larger request body is written in slices, so that it is not copied into the write buffer."""

_UNASKED = "an answer to nothing"
_SWITCHING_PROTOCOLS = 101
_FIRST_STATUS = 100
_FIRST_FINAL_STATUS = 200
_FIRST_ERROR_STATUS = 400


class Keeper(Protocol):
    """Who owns the connection: the pool."""

    def release(self, connection: "Connection", /) -> None: ...
    def discarded(self, connection: "Connection", /) -> None: ...
    def lost(self, connection: "Connection", /) -> None: ...


class _Refused(Exception):
    """Raised in a callback of the parser, which then stops; says what is wrong with the answer."""


class Connection(asyncio.Protocol):
    """Carries one request at a time. The answer's end, not its reader, frees it for the next."""

    __slots__ = (
        "_barren",
        "_choked",
        "_drained",
        "_ended",
        "_feed",
        "_keep_alive",
        "_keeper",
        "_loop",
        "_parser",
        "_response",
        "_transport",
        "_written",
        "dead",
        "idle_since_s",
        "served",
    )
    _transport: asyncio.Transport

    def __init__(self, keeper: Keeper, loop: asyncio.AbstractEventLoop) -> None:
        self._keeper = keeper
        self._loop = loop
        self._parser = HttpResponseParser(self)
        self._feed = self._parser.feed_data
        self._response: HttpResponse | None = None
        self._ended = False
        """The parser has seen the end of the answer."""
        self._keep_alive = False
        self._written = True
        self._choked = False
        self._drained: asyncio.Future[None] | None = None
        self._barren = 0
        self.served = False
        """It has carried an exchange before: if it dies now, the engine had hung up on it."""
        self.dead = False
        self.idle_since_s = 0.0

    # What the client does

    def begin(self, data: bytes) -> HttpResponse:
        """Send a whole request, or the head of one whose body `send` brings."""
        response = self._response = HttpResponse(self, self._loop)
        if self.dead:
            self._fail("the connection was closed before it was used", safe=True)
        else:
            self._transport.write(data)
        return response

    async def send(self, body: bytes) -> None:
        """The body, at the engine's pace. An answer that is an error, or is over, ends it early."""
        response = self._response
        if response is None:
            return
        self._written = False
        view = memoryview(body)
        for start in range(0, len(view), SLICE_BYTES):
            while self._choked and _wants_more(response):
                self._drained = self._loop.create_future()
                try:
                    await self._drained
                finally:
                    self._drained = None
            if not _wants_more(response):
                return
            self._transport.write(view[start : start + SLICE_BYTES])
        self._written = True

    def hang_up(self) -> None:
        self._fail("closed by us before its end")

    def resume_reading(self) -> None:
        if not self.dead:
            self._transport.resume_reading()

    def discard(self) -> None:
        """Close at once; what was not sent is not sent."""
        if not self.dead:
            self.dead = True
            self._transport.abort()
            self._keeper.discarded(self)

    # What the event loop tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # nobody asked for anything
            self.discard()
            return
        try:
            if not response.status:
                if len(response.head) + len(data) > MOST_HEAD_BYTES:
                    data = self._feed_long_head(response, data)
                else:
                    response.head += data
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade, _Refused) as error:
            self._malformed(error)
            return
        if self._ended:
            self._finish(response, reusable=self._keep_alive and self._written)
        else:
            self._barren += len(data)
            if self._barren > MOST_BARREN_BYTES:
                self._fail("malformed answer: no end of trailers or chunk extensions")

    def eof_received(self) -> None:
        response = self._response
        if response is not None and response.status and _ends_with_the_connection(response):
            self._finish(response, reusable=False)
        else:
            self._fail(f"the connection was closed {self._when()}", safe=self._is_stale())

    def connection_lost(self, exc: Exception | None) -> None:
        how = "was closed" if exc is None else f"broke ({_in_words(exc)})"
        self._fail(f"the connection {how} {self._when()}", safe=self._is_stale(), cause=exc)
        self._keeper.lost(self)
        del self._parser, self._feed  # they and we refer to each other

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        self._unchoke()

    # What the parser tells us

    def on_message_begin(self) -> None:
        if self._ended:
            raise _Refused("bytes after its end")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            if status < _FIRST_STATUS or status == _SWITCHING_PROTOCOLS:
                raise _Refused(f"status {status}")
            return
        response = self._response
        if response is None:
            raise _Refused(_UNASKED)
        response.status = status
        response.wake()
        if self._drained is not None:
            self._unchoke()

    def on_body(self, body: bytes) -> None:
        response = self._response
        if response is None:
            raise _Refused(_UNASKED)
        response.pieces.append(body)
        response.unread += len(body)
        self._barren = 0
        if response.unread > MOST_UNREAD_BYTES:
            self._hold_back(response)
        if response.waiter is not None and not response.whole:
            response.wake()

    def on_message_complete(self) -> None:
        if self._response is not None and self._response.status:  # else it was an interim response
            self._ended = True
            self._keep_alive = self._parser.should_keep_alive()  # asked later, it says False

    # How it ends

    def _finish(self, response: HttpResponse, *, reusable: bool) -> None:
        self._response = None
        self._ended = False
        self._barren = 0
        if response.paused and not self.dead:
            self._transport.resume_reading()
        response.carrier = None
        if response.waiter is not None:
            response.wake()
        if reusable:
            self.served = True
            self._keeper.release(self)
        else:
            self.discard()

    def _malformed(self, error: Exception) -> None:
        response = self._response
        if self._ended and response is not None:  # the answer is whole; what follows is not ours
            self._finish(response, reusable=False)
            return
        reason = error.__context__ if isinstance(error, HttpParserCallbackError) else error
        words = "it changes the protocol" if isinstance(error, HttpParserUpgrade) else str(reason)
        self._fail(f"malformed answer: {words}", cause=error)

    def _fail(self, words: str, *, safe: bool = False, cause: Exception | None = None) -> None:
        response = self._response
        self._response = None
        self.discard()
        if response is not None:
            response.broke(words, safe=safe, cause=cause)
        self._unchoke()

    def _when(self) -> str:
        if self._response is not None and self._response.status:
            return "in the middle of the answer"
        return "while it was idle" if self._is_stale() else "before an answer"

    def _is_stale(self) -> bool:
        """A reused connection on which not a byte came back: the engine had already hung up."""
        return self.served and self._response is not None and not self._response.head

    # On the way

    def _feed_long_head(self, response: HttpResponse, data: bytes) -> bytes:
        """Feed no more than the limit; returns what is left if the head ended within it."""
        room = MOST_HEAD_BYTES - len(response.head)
        response.head += data[:room]
        self._feed(data[:room])
        if not response.status:
            raise _Refused(f"a head of more than {MOST_HEAD_BYTES} bytes")
        return data[room:]

    def _hold_back(self, response: HttpResponse) -> None:
        if response.whole:
            if response.unread > MOST_WHOLE_BYTES:
                raise _Refused(f"a body of more than {MOST_WHOLE_BYTES} bytes")
        elif not response.paused:
            response.paused = True
            self._transport.pause_reading()

    def _unchoke(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


def _wants_more(response: HttpResponse) -> bool:
    """Whether the engine can still want the rest of the request."""
    return response.carrier is not None and response.status < _FIRST_ERROR_STATUS


def _ends_with_the_connection(response: HttpResponse) -> bool:
    """RFC 9112, 6.3: neither a length nor chunks."""
    headers = response.headers
    codings = ",".join(headers.all("transfer-encoding")).lower()
    return "content-length" not in headers and "chunked" not in codings


def _in_words(error: Exception) -> str:
    return in_words(error) if isinstance(error, OSError) else str(error) or repr(error)
