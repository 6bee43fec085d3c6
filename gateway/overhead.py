"""What we spend on a request ourselves: stage by stage, on one request in sixteen.

Two looks at the clock and a bucket for each stage cost as much as parsing does, so most requests
are not timed; those that are say enough of the others.
"""

from collections.abc import Callable
from typing import Protocol

from gateway.clock import Clock
from gateway.stage import Stage

_ONE_IN = 16

Took = Callable[[Stage, float], None]


class Laps(Protocol):
    def lap(self, stage: Stage) -> None:
        """What passed since the last call was this stage."""

    def skip(self) -> None:
        """What passed since the last call was not ours: an upstream's, or the client's."""


class Overhead:
    """Hands out a watch to some requests, and to the others one that does nothing."""

    def __init__(self, took: Took, clock: Clock, *, one_in: int = _ONE_IN) -> None:
        self._took = took
        self._clock = clock
        self._one_in = one_in
        self._requests = 0

    def laps(self) -> Laps:
        self._requests += 1
        return _Watch(self._took, self._clock) if self._requests % self._one_in == 0 else UNTIMED


class _Watch:
    def __init__(self, took: Took, clock: Clock) -> None:
        self._took = took
        self._clock = clock
        self._since_s = clock.monotonic_s()

    def lap(self, stage: Stage) -> None:
        now_s = self._clock.monotonic_s()
        self._took(stage, now_s - self._since_s)
        self._since_s = now_s

    def skip(self) -> None:
        self._since_s = self._clock.monotonic_s()


class _NoWatch:
    def lap(self, stage: Stage) -> None:
        pass

    def skip(self) -> None:
        pass


UNTIMED = _NoWatch()
