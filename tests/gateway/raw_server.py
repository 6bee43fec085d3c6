"""A server that says exactly what a test tells it to, byte by byte, and notes what it was asked."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: on, zero seconds; closing then sends a reset instead of a goodbye."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def head(self) -> bytes:
        """The next request's head. Raises asyncio.IncompleteReadError when the client is gone."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def request(self) -> bytes:
        """The next request, whole."""
        head = await self.head()
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                return head + await self._reader.readexactly(int(value))
        return head

    async def exactly(self, size: int) -> bytes:
        return await self._reader.readexactly(size)

    async def send(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(data)
        await self._writer.drain()

    def half_close(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed, whatever it still says before."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionError:
            pass


Play = Callable[[Peer], Awaitable[None]]


class RawServer:
    """Plays each `play` on one connection, in order; later connections get the last one again."""

    def __init__(self, *plays: Play, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self.port = port
        self._plays = deque(plays)
        self._server: asyncio.Server | None = None
        self._peers: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._left = asyncio.Condition()
        self.connections = 0
        self.errors: list[Exception] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open(self) -> int:
        return len(self._peers)

    async def all_left(self) -> None:
        """Wait until no connection is open."""
        async with self._left:
            await self._left.wait_for(lambda: not self._peers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer, playing in tuple(self._peers.items()):
            writer.transport.abort()
            playing.cancel()
        await self.all_left()
        assert not self.errors, self.errors

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        playing = asyncio.current_task()
        assert playing is not None
        self._peers[writer] = playing
        play = self._plays.popleft() if len(self._plays) > 1 else self._plays[0]
        try:
            await play(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left first
        except asyncio.CancelledError:
            pass  # the test is over
        except Exception as error:  # noqa: BLE001 - the test that leaves this server sees it
            self.errors.append(error)
        finally:
            writer.close()
            async with self._left:
                del self._peers[writer]
                self._left.notify_all()


def answering(*answers: bytes) -> Play:
    """Each request on the connection gets the next of `answers`; the last one for ever."""

    async def play(peer: Peer) -> None:
        rest = deque(answers)
        while True:
            await peer.request()
            await peer.send(rest.popleft() if len(rest) > 1 else rest[0])

    return play


def closing(answer: bytes) -> Play:
    """One request, `answer`, and the end of the connection."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    return play


class Held:
    """A play that answers each request when the test says so."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.asked = asyncio.Semaphore(0)
        self.go_on = asyncio.Semaphore(0)
        self.bodies: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        while True:
            self.bodies.append((await peer.request()).partition(b"\r\n\r\n")[2])
            self.asked.release()
            await self.go_on.acquire()
            await peer.send(self._answer)


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn, sockets included, until something is so that nobody announces."""
    for _ in range(100_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")
