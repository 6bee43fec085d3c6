"""A deadline that moves with every sign of life, at the price of one float a chunk.

`asyncio.timeout` around each read would cost microseconds a chunk; here one timer per stream looks
up the time of the last `pat` when it fires, and sleeps on if that was recent.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Timers(Protocol):
    """The part of an event loop that is needed here."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle: ...


class Watchdog:
    """Calls `bark` once, after `idle_s` without a `pat` or `total_s` in all."""

    def __init__(
        self, loop: Timers, *, idle_s: float, total_s: float, bark: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._idle_s = idle_s
        self._total_s = total_s
        self._ends_at = self._loop.time() + total_s
        self._idle_at = self._loop.time() + idle_s
        self._bark = bark
        self._timer = self._loop.call_at(min(self._idle_at, self._ends_at), self._look)
        self.barked = ""

    def pat(self) -> None:
        self._idle_at = self._loop.time() + self._idle_s

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self._ends_at:
            self.barked = f"total_s = {self._total_s:g} is over"
        elif now >= self._idle_at:
            self.barked = f"nothing came for idle_s = {self._idle_s:g}"
        else:
            self._timer = self._loop.call_at(min(self._idle_at, self._ends_at), self._look)
            return
        self._bark()
