"""Many deadlines on one coarse timer: what `asyncio.timeout` does, at a tenth of its price.

A gateway sets a deadline for each call and calls off nearly all of them. Here that is one entry in
a bucket and its removal; the event loop has one timer, for the earliest bucket. An alarm rings up
to 50 ms late, and never early.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

_BUCKETS_PER_S = 20


class Stoppable(Protocol):
    def cancel(self) -> None: ...


class Timers(Protocol):
    """The part of an event loop that is needed here, and that `Alarms` is in its turn."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None], /) -> Stoppable: ...


class Alarm:
    """Will call `ring` unless it is cancelled."""

    __slots__ = ("_alarms", "_bucket", "ring")

    def __init__(self, alarms: "Alarms", bucket: int, ring: Callable[[], None]) -> None:
        self._alarms = alarms
        self._bucket = bucket
        self.ring = ring

    def cancel(self) -> None:
        """Safe to call twice, and after it rang."""
        self._alarms.call_off(self._bucket, self)


class Alarms:
    """`call_at` as the loop has it; `within` in place of `asyncio.timeout`."""

    __slots__ = ("_buckets", "_first", "_loop", "_timer", "time")

    def __init__(self, loop: Timers) -> None:
        self._loop = loop
        self.time = loop.time
        self._buckets: dict[int, set[Alarm]] = {}
        self._timer: Stoppable | None = None
        self._first = 0
        """The bucket that `_timer` is set for."""

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def call_at(self, when: float, callback: Callable[[], None], /) -> Alarm:
        number = int(when * _BUCKETS_PER_S) + 1
        alarm = Alarm(self, number, callback)
        if (bucket := self._buckets.get(number)) is None:
            self._buckets[number] = {alarm}
            if self._timer is None or number < self._first:
                self._wind(number)
        else:
            bucket.add(alarm)
        return alarm

    def call_off(self, number: int, alarm: Alarm) -> None:
        """The timer stays: it finds nothing to do, which is cheaper than to set it anew."""
        if (bucket := self._buckets.get(number)) is not None:
            bucket.discard(alarm)
            if not bucket:
                del self._buckets[number]

    def within(self, seconds: float) -> "Limit":
        """`with alarms.within(2.0):` raises TimeoutError where the block takes longer.

        As with `asyncio.timeout`, the task is cancelled; other cancellations pass through.
        """
        return Limit(self, seconds)

    def _wind(self, number: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._first = number
        self._timer = self._loop.call_at(number / _BUCKETS_PER_S, self._look)

    def _look(self) -> None:
        now = int(self._loop.time() * _BUCKETS_PER_S)
        self._timer = None
        for number in sorted(number for number in self._buckets if number <= now):
            bucket = self._buckets.get(number, set())
            while bucket:  # an alarm that rings may call off the others
                bucket.pop().ring()
            self._buckets.pop(number, None)
        if self._buckets and self._timer is None:
            self._wind(min(self._buckets))


class Limit:
    """Bounds the time of a block in the current task."""

    __slots__ = ("_alarm", "_alarms", "_cancelling", "_seconds", "_task", "rang")

    _task: asyncio.Task[object]
    _alarm: Alarm

    def __init__(self, alarms: Alarms, seconds: float) -> None:
        self._alarms = alarms
        self._seconds = seconds
        self.rang = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._task = task
        self._cancelling = task.cancelling()
        self._alarm = self._alarms.call_at(self._alarms.time() + self._seconds, self._ring)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._alarm.cancel()
        if not self.rang:
            return
        only_ours = self._task.uncancel() <= self._cancelling
        if only_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def _ring(self) -> None:
        self.rang = True
        self._task.cancel()
