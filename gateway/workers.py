"""The gateway as several processes on one port: a small parent that starts and watches them.

    parent ──lifeline──► worker 0: its own socket on the shared port, its own ledger
                    └──► worker 1: …

The parent serves nothing. A worker that dies is replaced, in its seat: the same socket, the same
ledger, so that no waiting connection and no count is lost. SIGTERM or SIGINT to the parent: every
worker finishes what it has (`server`). The parent dies, however: the kernel closes the lifeline,
and the workers finish and end too.

A worker is a fork, which is safe because the parent has one thread, no event loop and no open
database; what it has read and imported, they need not.
"""

import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

Work = Callable[[int, Callable[[], None]], int]
"""The life of worker n, in its process: calls back when it is ready, returns its exit status."""

_QUICK_S = 10.0
_FIRST_DELAY_S = 0.5
_MOST_DELAY_S = 10.0
_STOPS = (signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True)
class _Seat:
    """`due_s`: when to start a process in it (monotonic)."""

    number: int
    pid: int | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    quick_deaths: int = 0


@dataclass(slots=True)
class Workers:
    """listeners: one a worker; the parent's copies are closed when it is told to stop.

    on_death: called in the parent for the worker of that number, before it is replaced.
    grace_s: how long workers may take to finish before they are killed.
    """

    work: Work
    listeners: Sequence[socket.socket]
    grace_s: float
    on_death: Callable[[int], None]
    _seats: list[_Seat] = field(default_factory=list)
    _ready: set[int] = field(default_factory=set)
    _status: int = 0
    _kill_at_s: float | None = None

    def run(self) -> int:
        """Until told to stop: 0, or 1 if a worker had to be killed or failed while it finished.

        A worker that ends before all of them were ready once stops the others; its status is ours.
        """
        self._seats = [_Seat(number) for number in range(len(self.listeners))]
        lifeline, held = os.pipe()
        ready, tell_ready = os.pipe()
        gc.freeze()  # so that the workers' collectors leave the shared pages alone
        try:
            with _signals() as news:
                while True:
                    for seat in self._seats:
                        if self._is_due(seat):
                            self._start(seat, lifeline, tell_ready, only_mine=(held, ready))
                    self._wait(news, ready)
                    self._reap()
                    if self._kill_at_s is not None and not any(s.pid for s in self._seats):
                        return self._status
        finally:
            self._signal(signal.SIGKILL)  # after an error of our own; else nobody is left
            for each in (lifeline, held, ready, tell_ready):
                os.close(each)

    def _is_due(self, seat: _Seat) -> bool:
        return self._kill_at_s is None and seat.pid is None and time.monotonic() >= seat.due_s

    def _start(
        self, seat: _Seat, lifeline: int, tell_ready: int, *, only_mine: tuple[int, ...]
    ) -> None:
        # A signal that comes between the fork and the worker's own handlers waits until those
        # are there: `work` unblocks it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            if (pid := os.fork()) == 0:
                self._be_worker(seat.number, lifeline, tell_ready, only_mine)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        seat.pid, seat.started_s = pid, time.monotonic()

    def _be_worker(
        self, number: int, lifeline: int, tell_ready: int, only_parents: tuple[int, ...]
    ) -> None:
        """Never returns: the parent's stack is not ours to unwind."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in only_parents:
                os.close(each)
            for other, listener in enumerate(self.listeners):
                if other != number:
                    listener.close()
            threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
            status = self.work(number, lambda: _tell(tell_ready, number))
        except SystemExit as asked:
            status = asked.code if isinstance(asked.code, int) else 1
        except BaseException:  # noqa: BLE001 - the process's outermost edge
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(status)

    def _wait(self, news: socket.socket, ready: int) -> None:
        """For a signal, a worker that is ready, or the time to start or to kill one."""
        now_s = time.monotonic()
        times_s = [seat.due_s for seat in self._seats if seat.pid is None]
        if self._kill_at_s is not None:
            times_s = [self._kill_at_s]
        timeout_s = max(0.0, min(times_s) - now_s) if times_s else None
        readable, _, _ = select.select([news.fileno(), ready], [], [], timeout_s)
        if ready in readable:
            self._ready.update(os.read(ready, 4096))
        if news.fileno() in readable:
            for number in news.recv(4096):
                if number in _STOPS:
                    self._stop(0)
        if self._kill_at_s is not None and time.monotonic() >= self._kill_at_s:
            log.error("workers that did not finish within %g s are killed", self.grace_s)
            self._signal(signal.SIGKILL)
            self._kill_at_s = time.monotonic() + self.grace_s

    def _stop(self, status: int) -> None:
        if self._kill_at_s is None:
            self._status = status
            for listener in self.listeners:
                listener.close()
            self._kill_at_s = time.monotonic() + self.grace_s
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for seat in self._seats:
            if seat.pid is not None:
                os.kill(seat.pid, number)  # not reaped yet, so the id is still its own

    def _reap(self) -> None:
        for seat in self._seats:
            if seat.pid is None:
                continue
            pid, status = os.waitpid(seat.pid, os.WNOHANG)
            if pid:
                seat.pid = None
                self._died(seat, pid, os.waitstatus_to_exitcode(status))

    def _died(self, seat: _Seat, pid: int, status: int) -> None:
        """status: negative for a signal."""
        self.on_death(seat.number)
        if self._kill_at_s is not None:
            self._status = self._status or (1 if status else 0)
            return
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        if len(self._ready) < len(self._seats):
            log.error("worker %d ended with %s during the start", pid, how)
            self._stop(status if status > 0 else 1)
            return
        now_s = time.monotonic()
        is_quick = now_s - seat.started_s < _QUICK_S
        seat.quick_deaths = seat.quick_deaths + 1 if is_quick else 0
        delay_s = _delay_s(seat.quick_deaths)
        seat.due_s = now_s + delay_s
        log.error("worker %d ended with %s; another starts in %g s", pid, how, delay_s)


def _delay_s(quick_deaths: int) -> float:
    """None for a worker that had lived a while, else doubling."""
    if quick_deaths == 0:
        return 0.0
    return float(min(_MOST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(quick_deaths - 1, 30)))


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """The numbers of the signals that come, to be read as bytes."""
    news, writing = socket.socketpair()
    os.set_blocking(writing.fileno(), False)
    watched = (*_STOPS, signal.SIGCHLD)
    before = {number: signal.signal(number, _noted) for number in watched}
    before_fd = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        with news, writing:
            yield news
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)


def _noted(_number: int, _frame: object) -> None:
    """A signal needs a handler to be told of on the wake-up line."""


def _tell(line: int, number: int) -> None:
    with suppress(OSError):
        os.write(line, bytes([number]))


def _end_with_parent(lifeline: int) -> None:
    """In a worker's thread: the line ends when the parent does."""
    while os.read(lifeline, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
