"""The kept-alive connections to one host and port: taken last in, first out, and bounded."""

import asyncio
from collections import deque

from gateway.http_connection import Connection
from gateway.transport import SHORTER_THAN_THE_ENGINES_S, TransportError, in_words


class Pool:
    """At most `max_connections` carry requests; who comes then waits its turn."""

    def __init__(self, host: str, port: int, *, connect_s: float, max_connections: int) -> None:
        self._host = host
        self._port = port
        self._connect_s = connect_s
        self._max_connections = max_connections
        self._loop = asyncio.get_running_loop()
        self._members: set[Connection] = set()
        """Every connection that holds a slot and is not being made right now."""
        self._slots_taken = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        """Woken with a connection, or with None: a slot to make one in."""
        self._timer: asyncio.TimerHandle | None = None
        self._sockets: set[Connection] = set()
        """The members, and those that were but whose sockets are not yet closed."""
        self._no_sockets: asyncio.Future[None] | None = None
        self._closed = False
        self.idle: list[Connection] = []
        """Alive, as far as is known, and oldest first. To take the last one is to take it."""

    async def take(self, *, past_the_bound: bool = False, fresh: bool = False) -> Connection:
        """A connection that is nobody else's until it is released or discarded.

        `past_the_bound`: do not wait for others. `fresh`: do not trust those that lie idle, but
        close one to make room. Raises TransportError (safe).
        """
        if self._closed:
            raise TransportError("this transport is closed", safe=True)
        if self.idle:
            if not fresh:
                return self.idle.pop()
            self.idle[0].discard()
        if past_the_bound or self._slots_taken < self._max_connections:
            self._slots_taken += 1
            return await self._connect()
        return await self._wait()

    async def aclose(self) -> None:
        """Close every connection and wait until the sockets are gone."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self._members):
            connection.hang_up()
        while self._sockets:
            self._no_sockets = self._no_sockets or self._loop.create_future()
            await asyncio.shield(self._no_sockets)

    # What a connection tells us

    def release(self, connection: Connection) -> None:
        """It is free. It goes to the one who has waited longest."""
        if self._slots_taken > self._max_connections:
            connection.discard()
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since_s = self._loop.time()
        self.idle.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(SHORTER_THAN_THE_ENGINES_S, self._close_the_stale)

    def discarded(self, connection: Connection) -> None:
        if connection in self._members:
            self._members.discard(connection)
            if connection in self.idle:
                self.idle.remove(connection)
            self._free_slot()

    def lost(self, connection: Connection) -> None:
        self._sockets.discard(connection)
        if not self._sockets and self._no_sockets is not None:
            self._no_sockets.set_result(None)
            self._no_sockets = None

    # Slots

    async def _wait(self) -> Connection:
        while True:
            waiter: asyncio.Future[Connection | None] = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                connection = await waiter
            except BaseException:
                self._give_back(waiter)
                raise
            if connection is None:
                return await self._connect()
            if not connection.dead:  # or it died on the way to us, and its slot went on
                return connection

    def _give_back(self, waiter: asyncio.Future[Connection | None]) -> None:
        """A waiter that was cancelled: what it was handed goes to the next."""
        if not waiter.done() or waiter.cancelled():
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        elif (connection := waiter.result()) is None:
            self._free_slot()
        elif not connection.dead:
            self.release(connection)

    def _free_slot(self) -> None:
        if self._slots_taken <= self._max_connections:
            while self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self._slots_taken -= 1

    async def _connect(self) -> Connection:
        """Make a connection in a slot that was taken for it."""
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self, self._loop), self._host, self._port
                )
        except OSError as error:
            self._free_slot()
            if isinstance(error, TimeoutError) and error.errno is None:  # ours, not the system's
                words = f"no connection within connect_s = {self._connect_s:g}"
            else:
                words = f"connection failed: {in_words(error)}"
            raise TransportError(words, safe=True) from error
        except BaseException:
            self._free_slot()
            raise
        if connection.dead or self._closed:
            connection.discard()
            self._free_slot()
            words = (
                "this transport is closed" if self._closed else "the connection was closed at once"
            )
            raise TransportError(words, safe=True)
        self._members.add(connection)
        self._sockets.add(connection)
        return connection

    def _close_the_stale(self) -> None:
        """One timer for all: it looks again when the oldest will have been idle too long."""
        self._timer = None
        now_s = self._loop.time()
        while self.idle:
            left_s = self.idle[0].idle_since_s + SHORTER_THAN_THE_ENGINES_S - now_s
            if left_s > 0:
                self._timer = self._loop.call_later(left_s, self._close_the_stale)
                return
            self.idle[0].discard()
