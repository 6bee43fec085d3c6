"""Time that passes when a test says so: a clock, and timers as an event loop has them."""

import asyncio
from collections.abc import Callable


class HandLoop:
    """Timers that go off when a test says how late it is."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[asyncio.TimerHandle] = []
        self._loop = asyncio.new_event_loop()
        self._loop.close()

    def time(self) -> float:
        return self.now_s

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, (), self._loop)
        self.timers.append(timer)
        return timer

    def wait(self, seconds: float) -> None:
        until = self.now_s + seconds
        while due := [timer for timer in self.timers if timer.when() <= until]:
            first = min(due, key=lambda timer: timer.when())
            self.timers.remove(first)
            self.now_s = max(self.now_s, first.when())
            if not first.cancelled():
                first._run()
        self.now_s = until

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return 1_800_000_000.0 + self.now_s
