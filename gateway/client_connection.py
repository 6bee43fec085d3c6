"""A client's connection: uvicorn's own, with a short way for the hot paths.

Everything else on it (other paths, upgrades, `expect: 100-continue`, HTTP/1.0) is uvicorn's. A hot
request makes neither an ASGI scope nor messages, and no task of its own: one task serves the
connection's requests in turn, and one timer watches over its idleness.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.direct import DirectHttp, Serve
from gateway.http import HeaderLines

log = logging.getLogger(__name__)

_MOST_AHEAD = 8
"""Requests that a client may send before the one at work is answered. Where reading is paused, a
client that leaves is not noticed.
"""
_NOT_HTTP = "Invalid HTTP request received."


class ClientConnection(HttpToolsProtocol):
    """`hot`: what answers a `POST` to a path, as the path stands in the request line."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - uvicorn's own
        hot: Mapping[bytes, Serve],
        max_body_bytes: int,
        **named: Any,  # noqa: ANN401 - uvicorn's own
    ) -> None:
        super().__init__(*arguments, **named)
        self._hot = hot
        self._max_body_bytes = max_body_bytes
        self._serving: DirectHttp | None = None
        self._next: DirectHttp | None = None
        self._worker: asyncio.Task[None] | None = None
        self._turn: asyncio.Future[None] | None = None
        """What the worker waits for, when it has nothing to do."""
        self._idle_since_s: float | None = None
        self._server_headers: object = None
        self._server_lines = b""

    # What the event loop tells

    def data_received(self, data: bytes) -> None:
        self._idle_since_s = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            log.warning("a client sent something that is not HTTP")
            self.send_400_response(_NOT_HTTP)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._unsupported_upgrade_warning()

    def connection_lost(self, exc: Exception | None) -> None:
        last, queued = self.cycle, [cycle for cycle, _ in self.pipeline]
        if isinstance(last, DirectHttp):
            self.cycle = None  # as it is before a request
        super().connection_lost(exc)
        self._stop_timer()
        for exchange in (self._serving, last, *queued):
            if isinstance(exchange, DirectHttp):
                exchange.hung_up()
        self._call_worker()

    # What the parser tells

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        serve, parser = self._hot.get(self.url), self.parser
        headers = dict(self.headers)
        if (
            serve is None
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or b"expect" in headers
            or b"upgrade" in headers
        ):
            self._leave_to_uvicorn()
            return
        last: RequestResponseCycle | None = self.cycle
        exchange = DirectHttp(
            self,
            serve,
            headers,
            keep_alive=parser.should_keep_alive(),
            max_body_bytes=self._max_body_bytes,
        )
        self.cycle = cast("RequestResponseCycle", exchange)
        if last is None or last.response_complete:
            exchange.is_its_turn = True
        else:
            self.pipeline.appendleft((self.cycle, self.app))
            if len(self.pipeline) >= _MOST_AHEAD:
                self.flow.pause_reading()

    def _leave_to_uvicorn(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if not isinstance(cycle, DirectHttp):
            super().on_body(body)
        elif not cycle.response_complete and not cycle.feed(body):
            self.flow.pause_reading()
            self._begin(cycle)

    def on_message_complete(self) -> None:
        cycle = self.cycle
        if not isinstance(cycle, DirectHttp):
            super().on_message_complete()
        elif not cycle.response_complete:
            cycle.fed()
            self._begin(cycle)

    # One request after the other

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        """Called for a pipelined request too, when the one before it is answered."""
        if not isinstance(cycle, DirectHttp):
            super()._start_asgi_task(cycle, app)
            return
        cycle.is_its_turn = True
        if cycle.is_ready:
            self._begin(cycle)

    def _begin(self, exchange: DirectHttp) -> None:
        if exchange.begun or not exchange.is_its_turn:
            return
        exchange.begun = True
        self._next = exchange
        if self._worker is not None:
            self._call_worker()
            return
        self._worker = worker = self.loop.create_task(self._work())
        self.tasks.add(worker)  # which uvicorn waits for when it stops
        worker.add_done_callback(self.tasks.discard)

    def _call_worker(self) -> None:
        if (turn := self._turn) is not None:
            self._turn = None
            if not turn.done():
                turn.set_result(None)

    async def _work(self) -> None:
        """Serves the connection's hot requests until it is closed."""
        try:
            while not self.transport.is_closing():
                if (exchange := self._next) is None:
                    self._turn = turn = self.loop.create_future()
                    await turn
                    continue
                self._next = None
                self._serving = exchange
                await exchange.serve(exchange)
                self._serving = None
                if not exchange.response_complete and not exchange.disconnected:
                    log.error("a request ended without a whole answer")
                    return
        finally:
            self._serving = self._worker = None
            self.transport.close()

    def answered(self, exchange: DirectHttp) -> None:
        """The answer's last byte is written."""
        exchange.response_complete = True
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch_idleness(self.timeout_keep_alive)

    def server_lines(self) -> HeaderLines:
        """What the server says with every answer: the date, made anew every second."""
        headers = self.server_state.default_headers
        if headers is not self._server_headers:
            self._server_headers = headers
            self._server_lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._server_lines

    # Idleness: the timer runs on while requests come, and looks when it rings

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since_s = None

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since_s is None:
            return
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._watch_idleness(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _watch_idleness(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _stop_timer(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None


def client_connections(
    hot: Mapping[bytes, Serve], *, max_body_bytes: int
) -> type[asyncio.Protocol]:
    """Uvicorn's `http` setting, which it calls for every connection."""
    made = partial(ClientConnection, hot=hot, max_body_bytes=max_body_bytes)
    return cast("type[asyncio.Protocol]", made)
