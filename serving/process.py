"""One long-running child with a log: started, waited for until ready, stopped."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from serving import lifeline
from serving.errors import NotReady, ProcessDied

LAST_LINES = 12
READ_FOR_A_CAUSE_BYTES = 200_000
KEPT_LOG_BYTES = 5_000_000
"""A log this long is set aside as `.1` at the next start, replacing the one before."""

_PROBE_EVERY_S = 0.05


class Process:
    """A tethered command (see `serving.lifeline`) whose output is kept in `log`.

    `stop` may come from any thread at any moment and is final; the rest belongs to one thread.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        grace_s: float = 5.0,
        cause: Callable[[int, str], str | None] = lambda _status, _log: None,
    ) -> None:
        """`cause(status, log)` says in words why it ended, if what it wrote tells."""
        self.name, self.log = name, log
        self._cause, self._began_at_byte = cause, 0
        self._argv, self._env, self._grace_s = tuple(argv), env, grace_s
        self._running: lifeline.Tethered | None = None
        self._stopped = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Of the command itself, not of its keeper; None when it does not run."""
        return self._running.pid if self._running is not None else None

    def start(self) -> None:
        """Executes it; says nothing about readiness. Raises `ProcessDied` if it cannot be."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > KEPT_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self._lock, self.log.open("ab") as output:
            self._began_at_byte = output.tell()
            if self._stopped:
                raise self._death("was stopped before it started")
            try:
                self._running = lifeline.start(
                    self._argv, output=output, env=self._env, grace_s=self._grace_s
                )
            except lifeline.CannotStart as reason:
                raise self._death(f"could not be executed ({reason})") from reason

    def wait_ready(self, probe: Callable[[], bool], *, timeout_s: float) -> float:
        """Seconds until `probe` said yes. Raises `ProcessDied` or `NotReady`, log included."""
        began = time.monotonic()
        while not probe():
            status = self.wait(_PROBE_EVERY_S)
            if status is not None:
                raise self.death(status)
            if time.monotonic() - began > timeout_s:
                raise NotReady(self.name, timeout_s, log=self.log, last_lines=self.tail())
        return time.monotonic() - began

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Exit status once it ended (0 if never started), or None after `timeout_s`."""
        running = self._running
        if running is None:
            return 0
        status = running.wait(timeout_s)
        if status is not None:
            self._running = None
        return status

    def end(self) -> None:
        """Ends this run and all it started; nothing to do if there is none."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.stop(grace_s=self._grace_s)

    def stop(self) -> None:
        """Ends it for good: a `start` after this, or racing with it, is refused."""
        self._stopped = True
        self.end()

    def death(self, status: int) -> ProcessDied:
        """The error that tells an end nobody ordered."""
        return self._death(self.how_it_ended(status))

    def how_it_ended(self, status: int) -> str:
        """In words, to follow its name; with the cause, where its log tells one."""
        how = how_it_ended(status)
        cause = self._cause(status, self._said())
        return f"{how} ({cause})" if cause else how

    def tail(self, lines: int = LAST_LINES) -> str:
        """The end of the log, indented for an error message."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "  (no log)"
        kept = [f"  {line}" for line in text.splitlines()[-lines:]]
        return "\n".join(kept) or "  (the log is empty)"

    def _said(self) -> str:
        """What this run wrote, its end if that is much."""
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._began_at_byte, size - READ_FOR_A_CAUSE_BYTES))
                return file.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _death(self, how: str) -> ProcessDied:
        return ProcessDied(self.name, how, log=self.log, last_lines=self.tail())


def how_it_ended(status: int) -> str:
    """An exit status in words, to follow a name."""
    if status > lifeline.SIGNAL_STATUS_OFFSET:
        return f"was killed by signal {status - lifeline.SIGNAL_STATUS_OFFSET}"
    return f"ended with status {status}"
