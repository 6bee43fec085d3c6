"""Who may come in: slots for requests in flight, a fair queue before them, and shedding.

A slot lives until the last byte left or the client hung up. With a slot free, `take` is a counter:

    on.admission.take(caller) or await on.admission.wait(caller)
    try:
        ...
    finally:
        on.admission.free(caller)
"""

import math

from gateway.alarms import Timers
from gateway.errors import Overloaded
from gateway.slots import Slots, Turn

_LEAST_S, _MOST_S = 1.0, 60.0
_WINDOW_S = 10.0


class Admission:
    """`caller_share` of the slots, in (0, 1], is what one caller can hold. Requests without a key
    are one caller.
    """

    def __init__(
        self,
        max_in_flight: int,
        *,
        max_queued: int,
        queue_s: float,
        timers: Timers,
        caller_share: float = 1.0,
    ) -> None:
        self._slots = Slots(
            max_in_flight,
            timers=timers,
            most_waiting=max_queued,
            most_each=max(1, math.floor(max_in_flight * caller_share)),
        )
        self._queue_s = queue_s
        self._now_s = timers.time
        self._since_s, self._freed_before = -math.inf, 0
        self._rate_hz = 0.0
        """Of slots given back, in the window before the one that began at `_since_s`."""
        self.take = self._slots.take
        """`take(caller)`: a slot, if one is free; False: `wait` for one."""
        self.free = self._slots.free
        """`free(caller)`: give a slot back, exactly once."""

    @property
    def in_flight(self) -> int:
        return self._slots.in_flight

    @property
    def queued(self) -> int:
        return self._slots.waiting

    async def wait(self, caller: str | None, most_s: float = math.inf) -> None:
        """Until a slot is ours, for `server.queue_s` or `most_s`. Raises Overloaded.

        Cancel it when the client leaves: its place in the queue is then free at once.
        """
        self._count_anew()
        queue_s = min(self._queue_s, most_s)
        match await self._slots.wait(caller, queue_s):
            case Turn.YOURS:
                return
            case Turn.QUEUE_FULL:
                problem = f"{self.in_flight} requests are in flight and {self.queued} wait"
            case Turn.TOO_LATE:
                problem = f"{self.in_flight} requests are in flight; none ended in {queue_s:.3g} s"
        raise Overloaded(problem, self.retry_after_s())

    def retry_after_s(self) -> float:
        """When a slot should be free for one more: the queue, at the rate of the last seconds."""
        seen_s = self._now_s() - self._since_s
        freed = self._slots.freed - self._freed_before
        rate_hz = freed / seen_s if seen_s >= _LEAST_S else self._rate_hz
        if rate_hz <= 0:
            return _LEAST_S if seen_s < _WINDOW_S else _MOST_S
        return min(max(math.ceil((self.queued + 1) / rate_hz), _LEAST_S), _MOST_S)

    def _count_anew(self) -> None:
        """Begin a window where the last is over; one that ended long ago tells nothing of now."""
        now_s = self._now_s()
        seen_s = now_s - self._since_s
        if seen_s >= _WINDOW_S:
            freed = self._slots.freed - self._freed_before
            self._rate_hz = freed / seen_s if seen_s < 2 * _WINDOW_S else 0.0
            self._since_s, self._freed_before = now_s, self._slots.freed
