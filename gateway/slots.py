"""So many at a time, and a fair queue for the rest.

Whoever waits is served in the order of coming among his own, and in turn with all others: one
caller's flood lengthens that caller's queue. Where the queue is full, the longest one gives: the
newest in it goes.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from enum import Enum, auto
from functools import partial

from gateway.alarms import Timers


class Turn(Enum):
    """What came of waiting."""

    YOURS = auto()
    QUEUE_FULL = auto()
    TOO_LATE = auto()


Who = Hashable
_Waiter = asyncio.Future[Turn]


class Slots:
    """`most` at a time, `most_each` of them for any one; `most_waiting` in the queue.

    A slot that was taken, or waited for and granted, is given back with `free`, exactly once.
    """

    __slots__ = (
        "_held",
        "_most",
        "_most_each",
        "_most_waiting",
        "_queues",
        "_timers",
        "freed",
        "in_flight",
        "waiting",
    )

    def __init__(
        self, most: int, *, timers: Timers, most_waiting: int, most_each: int | None = None
    ) -> None:
        self._most = most
        self._most_waiting = most_waiting
        self._most_each = most if most_each is None else most_each
        self._timers = timers
        self._queues: dict[Who, deque[_Waiter]] = {}
        """In the order of their turns: the first is next."""
        self._held: dict[Who, int] | None = {} if self._most_each < most else None
        """By holder; not counted where nobody is limited."""
        self.in_flight = 0
        self.waiting = 0
        self.freed = 0
        """How many slots were given back since the start."""

    def take(self, who: Who = None, *, spare: int = 0) -> bool:
        """A slot at once, if there is one beyond the `spare` ones that are kept for others."""
        if self.in_flight >= self._most - spare:
            return False
        if self._held is not None:
            held = self._held.get(who, 0)
            if held >= self._most_each:
                return False
            self._held[who] = held + 1
        self.in_flight += 1
        return True

    async def wait(self, who: Who, seconds: float) -> Turn:
        """For whom `take` refused. Whoever is cancelled leaves the queue, or passes the slot on."""
        if self.waiting >= self._most_waiting and not self._make_room(who):
            return Turn.QUEUE_FULL
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._queues.setdefault(who, deque()).append(waiter)
        self.waiting += 1
        alarm = self._timers.call_at(
            self._timers.time() + seconds, partial(self._turn_away, who, waiter, Turn.TOO_LATE)
        )
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._strike(who, waiter)
            elif waiter.result() is Turn.YOURS:
                self.free(who)
            raise
        finally:
            alarm.cancel()

    def free(self, who: Who = None) -> None:
        self.freed += 1
        if self._held is not None:
            held = self._held.pop(who) - 1
            if held:
                self._held[who] = held
        self.in_flight -= 1
        if self._queues:
            self._serve_next()

    def _serve_next(self) -> None:
        for who in list(self._queues):
            if self._held is not None and self._held.get(who, 0) >= self._most_each:
                continue
            queue = self._queues.pop(who)
            while queue:
                waiter = queue.popleft()
                self.waiting -= 1
                if not waiter.done():
                    if queue:  # to the end of the round
                        self._queues[who] = queue
                    self.take(who)
                    waiter.set_result(Turn.YOURS)
                    return

    def _make_room(self, who: Who) -> bool:
        """Turn the newest of the longest queue away, if that is longer than `who`'s will be."""
        longest = max(self._queues, key=lambda each: len(self._queues[each]), default=who)
        if len(self._queues.get(longest, ())) <= len(self._queues.get(who, ())) + 1:
            return False
        self._turn_away(longest, self._queues[longest][-1], Turn.QUEUE_FULL)
        return True

    def _turn_away(self, who: Who, waiter: _Waiter, why: Turn) -> None:
        self._strike(who, waiter)
        if not waiter.done():
            waiter.set_result(why)

    def _strike(self, who: Who, waiter: _Waiter) -> None:
        """Off the queue, where it still is in it."""
        queue = self._queues.get(who)
        if queue is None or waiter not in queue:
            return
        queue.remove(waiter)
        self.waiting -= 1
        if not queue:
            del self._queues[who]
