import asyncio
from collections.abc import Callable

from gateway.watchdog import Watchdog


class HandLoop:
    """Timers that go off when a test says how late it is."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._timers: list[asyncio.TimerHandle] = []
        self._loop = asyncio.new_event_loop()
        self._loop.close()

    def time(self) -> float:
        return self.now_s

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, (), self._loop)
        self._timers.append(timer)
        return timer

    def wait(self, seconds: float) -> None:
        until = self.now_s + seconds
        while due := [timer for timer in self._timers if timer.when() <= until]:
            first = min(due, key=lambda timer: timer.when())
            self._timers.remove(first)
            self.now_s = max(self.now_s, first.when())
            if not first.cancelled():
                first._run()
        self.now_s = until


def watched(loop: HandLoop, barks: list[float]) -> Watchdog:
    return Watchdog(loop, idle_s=10, total_s=60, bark=lambda: barks.append(loop.now_s))


def test_a_slow_drip_is_a_sign_of_life() -> None:
    loop, barks = HandLoop(), list[float]()
    dog = watched(loop, barks)

    for _ in range(6):
        loop.wait(9)
        dog.pat()

    assert barks == []
    assert dog.barked == ""


def test_silence_is_noticed_when_it_has_lasted_long_enough_and_not_later() -> None:
    loop, barks = HandLoop(), list[float]()
    dog = watched(loop, barks)

    loop.wait(5)
    dog.pat()
    loop.wait(30)

    assert barks == [115.0]
    assert "idle_s = 10" in dog.barked


def test_a_drip_without_end_is_ended() -> None:
    loop, barks = HandLoop(), list[float]()
    dog = watched(loop, barks)

    for _ in range(20):
        loop.wait(4)
        dog.pat()

    assert barks == [160.0]
    assert "total_s = 60" in dog.barked


def test_a_dog_that_was_stopped_is_silent() -> None:
    loop, barks = HandLoop(), list[float]()

    watched(loop, barks).stop()
    loop.wait(1000)

    assert barks == []
