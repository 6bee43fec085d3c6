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


class Ringing(Protocol):
    """What is kept in a bucket."""

    def ring(self) -> None: ...


class Alarms:
    """`call_at` as the loop has it; `Limit` in place of `asyncio.timeout`."""

    __slots__ = ("_buckets", "_first", "_loop", "_timer", "time")

    def __init__(self, loop: Timers) -> None:
        self._loop = loop
        self.time = loop.time
        self._buckets: dict[int, set[Ringing]] = {}
        self._timer: Stoppable | None = None
        self._first = 0
        """The bucket that `_timer` is set for."""

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def call_at(self, when: float, callback: Callable[[], None], /) -> "Alarm":
        return Alarm(self, when, callback)

    def within(self, seconds: float) -> "Limit":
        """`with alarms.within(2.0):` raises TimeoutError where the block takes longer."""
        return Limit(self, seconds)

    def set(self, when: float, alarm: Ringing) -> int:
        """Returns the number of its bucket, for `call_off`."""
        number = int(when * _BUCKETS_PER_S) + 1
        if (bucket := self._buckets.get(number)) is not None:
            bucket.add(alarm)
            return number
        self._buckets[number] = {alarm}
        if self._timer is None or number < self._first:
            self._wind(number)
        return number

    def call_off(self, number: int, alarm: Ringing) -> None:
        """The timer stays: it finds nothing to do, which is cheaper than to set it anew."""
        if (bucket := self._buckets.get(number)) is not None:
            bucket.discard(alarm)
            if not bucket:
                del self._buckets[number]

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


class Alarm:
    """Calls `ring` once, unless it is cancelled."""

    __slots__ = ("_alarms", "_bucket", "ring")

    def __init__(self, alarms: Alarms, when: float, ring: Callable[[], None]) -> None:
        self.ring = ring
        self._alarms = alarms
        self._bucket = alarms.set(when, self)

    def cancel(self) -> None:
        """Safe to call twice, and after it rang."""
        self._alarms.call_off(self._bucket, self)


class Limit:
    """Bounds the time of a block in the current task, as `asyncio.timeout` does: the task is
    cancelled, and TimeoutError raised in its place; other cancellations pass through.
    """

    __slots__ = ("_alarms", "_bucket", "_cancelling", "_rang", "_seconds", "_task")

    def __init__(self, alarms: Alarms, seconds: float) -> None:
        self._alarms = alarms
        self._seconds = seconds
        self._rang = False

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._cancelling = task.cancelling()
        alarms = self._alarms
        self._bucket = alarms.set(alarms.time() + self._seconds, self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._alarms.call_off(self._bucket, self)
        if not self._rang or self._task is None:
            return
        only_ours = self._task.uncancel() <= self._cancelling
        if only_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def ring(self) -> None:
        self._rang = True
        if self._task is not None:
            self._task.cancel()
