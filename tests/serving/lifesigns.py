"""Knows that processes live and die without looking for them: the kernel tells.

A process that holds the write end of a FIFO is alive; when the last one is gone, however it
went, the reader sees the end of the file.
"""

import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path

WITHIN_S = 20.0

SIGN = """
import os, signal, subprocess, sys, time
def sign(name):
    line = os.open({fifo!r}, os.O_WRONLY)
    os.write(line, f"{{name}} {{os.getpid()}}\\n".encode())
def forever():
    while True: signal.pause()
"""


class Lifesigns:
    """One FIFO; `python` makes programs that sign into it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lifesigns"
        os.mkfifo(self._path)
        # Non-blocking only to open before a writer is there.
        self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._file, True)
        # Until the first has signed, the end of the file must not be taken for a death.
        self._ours: int | None = os.open(self._path, os.O_WRONLY)
        self._text = b""

    def python(self, program: str) -> Sequence[str]:
        """A command that runs `program`, which calls `sign("its name")`."""
        return (sys.executable, "-c", SIGN.format(fifo=os.fspath(self._path)) + program)

    def pid(self, name: str) -> int:
        """Waits until that process has signed."""
        while True:
            for line in self._text.decode().splitlines():
                signed, _, pid = line.partition(" ")
                if signed == name:
                    return int(pid)
            self._text += self._read()

    def wait_all_dead(self) -> None:
        """Returns when no process that signed is left."""
        self._let_go()
        while self._read():
            pass

    def close(self) -> None:
        self._let_go()
        os.close(self._file)

    def _read(self) -> bytes:
        readable, _, _ = select.select([self._file], [], [], WITHIN_S)
        assert readable, f"no sign for {WITHIN_S:g} s; signed so far: {self._text.decode()!r}"
        return os.read(self._file, 4096)

    def _let_go(self) -> None:
        if self._ours is not None:
            os.close(self._ours)
            self._ours = None
