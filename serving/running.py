"""What runs under this `tutelage up`: every change goes to the terminal and to the state file."""

import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime

from serving.engine import Engine
from serving.roster import EngineRow, Roster, RosterFile
from serving.screen import Screen
from serving.supervisor import Change, State


class Running:
    """Safe to tell from any thread."""

    def __init__(
        self, engines: Iterable[Engine], *, gateway_url: str | None, roster: Roster, screen: Screen
    ) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self._url, self._roster, self._screen = gateway_url, roster, screen
        self._rows: dict[str, EngineRow] = {}
        self._gateway_pid: int | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """All of them are about to start: who lists them now sees that."""
        with self._lock:
            for engine in self._engines.values():
                self._note(engine, State.STARTING)
            self._write()

    def joined(self, engine: Engine) -> None:
        """One more, which is about to start."""
        with self._lock:
            self._engines[engine.name] = engine
            self._note(engine, State.STARTING)
            self._write()

    def left(self, name: str) -> None:
        """It was ended for good, and is no longer listed."""
        with self._lock:
            self._engines.pop(name, None)
            self._rows.pop(name, None)
            self._write()

    def engine_changed(self, change: Change) -> None:
        if change.state not in {State.STOPPED, State.FAILED}:  # `up` itself tells these two
            self._screen.say(f"engine {change.name}: {change.note.partition(chr(10))[0]}")
        with self._lock:
            self._note(self._engines[change.name], change.state)
            self._write()

    def gateway_is(self, pid: int | None) -> None:
        with self._lock:
            self._gateway_pid = pid
            self._write()

    def forget(self) -> None:
        self._roster.forget(os.getpid())

    def _note(self, engine: Engine, state: State) -> None:
        self._rows[engine.name] = EngineRow(
            name=engine.name,
            state=state.value,
            pid=engine.pid,
            host=engine.spec.found_at,
            port=engine.spec.port,
            model=engine.spec.model,
            log=engine.log,
            since=datetime.now(UTC),
        )

    def _write(self) -> None:
        self._roster.write(
            RosterFile(
                up_pid=os.getpid(),
                gateway_url=self._url,
                gateway_pid=self._gateway_pid,
                engines=tuple(self._rows.values()),
            )
        )
