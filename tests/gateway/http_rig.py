"""A connection between a fake socket and a fake pool, driven by hand: no event loop runs."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gateway.http_connection import Connection

T = TypeVar("T")

loop = asyncio.new_event_loop()
"""Makes futures and never runs: nothing here waits."""
loop.close()


class Wire(asyncio.Transport):
    """The socket's side: a journal of what the connection did to it."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.journal.append(f"write {len(data)}")

    def abort(self) -> None:
        self.journal.append("abort")

    def pause_reading(self) -> None:
        self.journal.append("pause")

    def resume_reading(self) -> None:
        self.journal.append("resume")


class Keeper:
    """The pool's side."""

    def __init__(self) -> None:
        self.journal: list[str] = []

    def release(self, connection: Connection) -> None:
        self.journal.append("free")

    def discarded(self, connection: Connection) -> None:
        self.journal.append("gone")

    def lost(self, connection: Connection) -> None:
        self.journal.append("lost")


class Rig:
    """A connection that has just sent a request."""

    def __init__(self) -> None:
        self.wire, self.keeper = Wire(), Keeper()
        self.connection = Connection(self.keeper, loop)
        self.connection.connection_made(self.wire)
        self.response = self.connection.begin(b"POST")

    def hear(self, *pieces: bytes) -> None:
        for piece in pieces:
            if self.connection.dead:
                return  # a transport that was aborted brings nothing more
            self.connection.data_received(piece)

    def hang_up(self) -> None:
        if not self.connection.dead:
            self.connection.eof_received()
        self.connection.connection_lost(None)


def now(waiting: Coroutine[Any, Any, T]) -> T:
    """The result of something that has nothing to wait for."""
    try:
        waiting.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    waiting.close()
    raise AssertionError("it waits")
