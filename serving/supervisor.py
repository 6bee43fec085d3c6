"""Keeps engines running: starts them together, restarts what dies, stops them all.

Threads, not asyncio: all there is to do is wait for a child to end, one blocking call per engine,
and `tutelage up` around it is a story told downward that blocks on purpose. There is no loop that
a slow step could starve, and the engines' HTTP traffic never passes through here.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from serving.backoff import Backoff
from serving.errors import ServingError


class State(Enum):
    """Where an engine is in its life."""

    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"
    FAILED = "failed"
    """Its first start did not succeed; a spec that never worked is not retried."""


class Supervised(Protocol):
    """What can be kept running; `serving.engine.Engine` is one."""

    @property
    def name(self) -> str: ...

    def start(self) -> float:
        """Returns when ready, with the seconds it took; raises a `ServingError`."""

    def wait_end(self) -> str:
        """Blocks until it ends, says how."""

    def stop(self) -> None:
        """Ends it for good, also while it starts: `start` raises or `wait_end` returns then."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to an engine."""

    name: str
    state: State
    note: str
    """In words: how long it took, why it ended, when it will be back."""


class Supervisor:
    """A thread per engine, from the first start to the stop.

    `on_change` is called from those threads, one call at a time. `pause(seconds)` waits and
    says whether it was told to stop meanwhile; `clock` is monotonic seconds.
    """

    def __init__(
        self,
        engines: Sequence[Supervised],
        *,
        on_change: Callable[[Change], None],
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self._engines = list(engines)
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        self._on_change = on_change
        self._states: dict[str, State] = {}
        self._first_failure: ServingError | None = None
        self._troubles: dict[str, str] = {}
        self._retired: set[str] = set()
        self._changed = threading.Condition()
        self._threads: dict[str, threading.Thread] = {}

    @property
    def states(self) -> dict[str, State]:
        """A copy: name to state, in the order the engines were given."""
        with self._changed:
            return dict(self._states)

    def start(self) -> None:
        """Returns when every engine is ready. If one fails, stops all and raises its error."""
        for engine in self._engines:
            self._states[engine.name] = State.STARTING
        for engine in self._engines:
            self._begin(engine)
        with self._changed:
            self._changed.wait_for(
                lambda: self._first_failure or State.STARTING not in self._states.values()
            )
        if self._first_failure is not None:
            self.stop()
            raise self._first_failure

    def also(self, engine: Supervised) -> None:
        """One more, kept from now on; returns at once. If its first start fails the others go on,
        and `trouble` says why.
        """
        with self._changed:
            if self._stopping.is_set():
                return
            self._engines.append(engine)
            self._states[engine.name] = State.STARTING
            self._retired.discard(engine.name)
            self._begin(engine)

    def retire(self, name: str) -> None:
        """Ends one for good, also while it starts, and forgets it."""
        with self._changed:
            ending = [engine for engine in self._engines if engine.name == name]
            self._retired.add(name)
            thread = self._threads.get(name)
        for engine in ending:
            engine.stop()
        if thread is not None:
            thread.join()
        with self._changed:
            self._engines = [engine for engine in self._engines if engine not in ending]
            self._states.pop(name, None)
            self._threads.pop(name, None)

    def trouble(self, name: str) -> str:
        """Why its first start failed."""
        with self._changed:
            return self._troubles.get(name, "")

    def stop(self) -> None:
        """Ends every engine, all at once, and waits for it; may be called twice."""
        with self._changed:
            self._stopping.set()
            engines, threads = list(self._engines), list(self._threads.values())
        enders = [threading.Thread(target=engine.stop) for engine in engines]
        for ender in enders:
            ender.start()
        for thread in (*enders, *threads):
            thread.join()

    def _begin(self, engine: Supervised) -> None:
        thread = threading.Thread(target=self._keep, args=(engine,), name=f"keep-{engine.name}")
        self._threads[engine.name] = thread
        thread.start()

    def _is_over(self, engine: Supervised) -> bool:
        return self._stopping.is_set() or engine.name in self._retired

    def _keep(self, engine: Supervised) -> None:
        """One engine's life: run, and run again after a growing pause, until told to stop."""
        failures = 0
        ever_ready = False
        while not self._is_over(engine):
            began = self._clock()
            try:
                took_s = engine.start()
            except ServingError as error:
                if self._is_over(engine):
                    break
                if not ever_ready:
                    self._fail(engine.name, error)
                    return
                how = str(error).partition(";")[0]
            else:
                ever_ready = True
                self._tell(engine.name, State.READY, f"ready in {took_s:.1f} s")
                how = engine.wait_end()
            if self._is_over(engine):
                break
            failures = self._backoff.failures_after(failures, ran_s=self._clock() - began)
            delay_s = self._backoff.delay_s(failures)
            self._tell(engine.name, State.BACKING_OFF, f"{how}; again in {delay_s:g} s")
            if self._pause(delay_s):
                break
            self._tell(engine.name, State.STARTING, "starting again")
        self._tell(engine.name, State.STOPPED, "stopped")

    def _fail(self, name: str, error: ServingError) -> None:
        with self._changed:
            self._first_failure = self._first_failure or error
            self._troubles[name] = str(error)
        self._tell(name, State.FAILED, str(error))

    def _tell(self, name: str, state: State, note: str) -> None:
        with self._changed:
            self._states[name] = state
            self._on_change(Change(name, state, note))
            self._changed.notify_all()
