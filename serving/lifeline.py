"""No orphans: what is started here ends when its starter ends, however that came about.

    starter ──line──► keeper (`python -m serving.lifeline`) ──► command (its own group)

The line is a socket pair whose near end lives in the starter alone. The kernel closes it when the
starter ends, by a return, a signal or kill -9; the keeper reads the end of the line and takes the
command's whole group down: SIGTERM, a grace period, SIGKILL. Closing the line is also how the
starter orders a stop. Nothing here is specific to Linux but one addition: there the command
asks the kernel for SIGKILL should its keeper be killed (PR_SET_PDEATHSIG). Elsewhere the
starter itself sweeps the group when it sees the keeper gone.

Works for any command: a llama.cpp engine, a vLLM server with its workers, the gateway, pip.
"""

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

SIGNAL_STATUS_OFFSET = 128
"""A command ended by signal n is reported as 128 + n, as shells do."""

_PR_SET_PDEATHSIG = 1
_CANNOT_EXECUTE = 127
_KEEPER_MARGIN_S = 5.0


class CannotStart(OSError):
    """The command could not be executed at all; the text is the system's reason."""


class Tethered:
    """A command under its keeper, seen from the starter."""

    def __init__(self, keeper: subprocess.Popen[bytes], line: socket.socket, pid: int) -> None:
        self._keeper, self._line = keeper, line
        self.pid = pid
        """The command's own process id, which is also the id of its process group."""

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Exit status (see `SIGNAL_STATUS_OFFSET`), or None if it still runs after `timeout_s`."""
        try:
            status = self._keeper.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._line.close()
        _kill_group(self.pid, signal.SIGKILL)  # for a keeper that was killed
        return status if status >= 0 else SIGNAL_STATUS_OFFSET - status

    def stop(self, *, grace_s: float) -> int:
        """Ends the group, kindly for `grace_s` (at most what `start` was told), then by SIGKILL."""
        self._line.close()
        status = self.wait(grace_s + _KEEPER_MARGIN_S)
        if status is None:
            self._keeper.kill()
            status = self.wait()
        return status if status is not None else 0


def start(
    argv: Sequence[str],
    *,
    output: IO[bytes] | int,
    env: Mapping[str, str] | None = None,
    grace_s: float = 5.0,
) -> Tethered:
    """Runs `argv` tied to this process, stdout and stderr to `output`, no stdin.

    In a session of its own: a Ctrl-C at the terminal reaches the starter alone, which then
    decides in which order things end. Raises `CannotStart`.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        keeper = subprocess.Popen(  # noqa: S603 (the caller's own command, no shell)
            [
                *(sys.executable, "-P", "-m", "serving.lifeline"),
                *("--line", str(theirs.fileno()), "--grace-s", str(grace_s), "--", *argv),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    with ours.makefile("r", encoding="utf-8") as news:
        first = news.readline().strip()
    if not first.isdigit():
        ours.close()
        keeper.wait()
        raise CannotStart(first or f"{argv[0]}: the keeper ended before it could start it")
    return Tethered(keeper, ours, int(first))


def keep(line: socket.socket, argv: Sequence[str], *, grace_s: float) -> int:
    """The keeper's life: run `argv`, end it when the line ends, report its exit status."""
    try:
        command = subprocess.Popen(  # noqa: S603 (as above)
            argv,
            process_group=0,
            preexec_fn=_die_with_keeper,  # noqa: PLW1509 (no other thread runs yet)
        )
    except OSError as error:
        line.sendall(f"{argv[0]}: {error.strerror}\n".encode())
        return _CANNOT_EXECUTE
    with suppress(OSError):
        line.sendall(f"{command.pid}\n".encode())
    ending = threading.Event()

    def end(*_: object) -> None:
        if ending.is_set():
            return
        ending.set()
        _kill_group(command.pid, signal.SIGTERM)
        last_word = threading.Timer(grace_s, _kill_group, (command.pid, signal.SIGKILL))
        last_word.daemon = True
        last_word.start()

    def watch() -> None:
        with suppress(OSError):
            while line.recv(64):
                pass
        os.kill(os.getpid(), signal.SIGTERM)  # into the main thread, where `end` runs once

    for ordered in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ordered, end)
    threading.Thread(target=watch, daemon=True).start()
    status = command.wait()
    _kill_group(command.pid, signal.SIGKILL)  # workers it left behind
    return status if status >= 0 else SIGNAL_STATUS_OFFSET - status


def _kill_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _die_with_keeper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.lifeline", description=__doc__)
    parser.add_argument("--line", type=int, required=True, help="inherited file descriptor")
    parser.add_argument("--grace-s", type=float, default=5.0)
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args(arguments)
    with socket.socket(fileno=asked.line) as line:
        return keep(line, asked.command, grace_s=asked.grace_s)


if __name__ == "__main__":
    sys.exit(main())
