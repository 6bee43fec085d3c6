"""A deadline that moves with every sign of life, at the price of one float a chunk.

`asyncio.timeout` around each read would cost microseconds a chunk; here one timer per stream looks
up the time of the last `pat` when it fires, and sleeps on if that was recent.
"""

from collections.abc import Callable

from gateway.alarms import Timers


class Watchdog:
    """Calls `bark` once, after `idle_s` without a `pat`, or at `ends_at_s` by the timers' clock.

    `limit` says what ends then; `barked` what did, once it has.
    """

    def __init__(
        self,
        timers: Timers,
        *,
        idle_s: float,
        ends_at_s: float,
        limit: str,
        bark: Callable[[], None],
    ) -> None:
        self._timers = timers
        self._idle_s = idle_s
        self._ends_at_s = ends_at_s
        self._limit = limit
        self._idle_at_s = timers.time() + idle_s
        self._bark = bark
        self._timer = timers.call_at(min(self._idle_at_s, ends_at_s), self._look)
        self.barked = ""

    def pat(self) -> None:
        self._idle_at_s = self._timers.time() + self._idle_s

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now_s = self._timers.time()
        if now_s >= self._ends_at_s:
            self.barked = self._limit
        elif now_s >= self._idle_at_s:
            self.barked = f"nothing came for idle_s = {self._idle_s:g}"
        else:
            self._timer = self._timers.call_at(min(self._idle_at_s, self._ends_at_s), self._look)
            return
        self._bark()
