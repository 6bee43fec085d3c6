"""What we spend on a request ourselves: stage by stage, on one request in sixteen.

Two looks at the clock and a bucket for each stage cost as much as parsing does, so most requests
are not timed; those that are say enough of the others.
"""

from collections.abc import Callable

from gateway.clock import Clock
from gateway.stage import Stage

_ONE_IN = 16

Took = Callable[[Stage, float], None]


class Overhead:
    """Hands out a watch to some requests, and none to the others."""

    def __init__(self, took: Took, clock: Clock, *, one_in: int = _ONE_IN) -> None:
        self._took = took
        self._clock = clock
        self._one_in = one_in
        self._requests = 0

    def laps(self) -> "Laps | None":
        self._requests += 1
        return Laps(self._took, self._clock) if self._requests % self._one_in == 0 else None


class Laps:
    def __init__(self, took: Took, clock: Clock) -> None:
        self._took = took
        self._clock = clock
        self._since_s = clock.monotonic_s()

    def lap(self, stage: Stage) -> None:
        """What passed since the last call was this stage."""
        now_s = self._clock.monotonic_s()
        self._took(stage, now_s - self._since_s)
        self._since_s = now_s

    def skip(self) -> None:
        """What passed since the last call was not ours: an upstream's, or the client's."""
        self._since_s = self._clock.monotonic_s()
