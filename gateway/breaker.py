"""Stop calling a replica that keeps failing, and find out when it is well again.

    closed ── too many failures ──► open ── its time is over ──► half open
      ▲                               ▲                              │ one probe at a time
      └────────── it answers ─────────┼──────────────────────────────┤
                                      └──────── it fails ────────────┘

The time it stays open doubles with each failed probe, and is half by chance so that many
gateways do not probe together. The probe is a client's call: an engine that answers
`GET /models` may still be unable to write.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """Numbered as `tutelage_upstream_state` has them."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """Opens after `failures` in a row, or when `share` of the last `window` calls failed. However
    long ago: timeouts come slowly, and a first time open is short.

    Open for `open_s` the first time, twice as long each time it trips again without having been
    closed for `forget_s` in between, `max_open_s` at most.
    """

    failures: int = 5
    share: float = 0.5
    window: int = 20
    open_s: float = 1.0
    max_open_s: float = 60.0
    forget_s: float = 60.0


class Breaker:
    """One replica's. `now_s` is a monotonic clock; `jitter` draws from [0, 1).

    A call that may begin reports `succeeded`, `failed`, or `left` (the client went away: that says
    nothing about the replica). A stream succeeds with its first event and may still fail: both
    count. Calls that were under way when it opened have no say: only the probe has, which reports
    with the number that `probe` gave it.
    """

    __slots__ = (
        "_closed_at_s",
        "_failed_bits",
        "_in_a_row",
        "_jitter",
        "_now_s",
        "_opens_at_s",
        "_probe",
        "_probes",
        "_rule",
        "_trips",
        "closed",
        "spotless",
    )

    def __init__(
        self, rule: BreakerRule, *, now_s: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        self._rule = rule
        self._now_s = now_s
        self._jitter = jitter
        self.closed = True
        """Whether calls may be made freely: what the hot path looks at before a call."""
        self.spotless = True
        """Closed, and no failure remembered: what it looks at after a call, which then changes
        nothing.
        """
        self._opens_at_s = 0.0
        self._probe = self._probes = 0  # the number of the one under way, and the last one given
        self._trips = 0
        self._closed_at_s = float("-inf")
        self._in_a_row = 0
        self._failed_bits = 0  # the last `window` calls, a 1 for each that failed

    @property
    def state(self) -> State:
        if self.closed:
            return State.CLOSED
        return State.OPEN if self._now_s() < self._opens_at_s else State.HALF_OPEN

    def probe_in_s(self) -> float:
        """Seconds until a call may be made; 0 where one may now, or one is being made."""
        return 0.0 if self.closed else max(0.0, self._opens_at_s - self._now_s())

    def probe_is_due(self) -> bool:
        return not self.closed and not self._probe and self._now_s() >= self._opens_at_s

    def probe(self) -> int:
        """The call that begins now is the probe: no other may begin until it has reported."""
        self._probes += 1
        self._probe = self._probes
        return self._probe

    def succeeded(self, probe: int = 0) -> None:
        if self.closed:
            if self._failed_bits:
                self._in_a_row = 0
                self._failed_bits = (self._failed_bits << 1) & self._mask
                self.spotless = not self._failed_bits
        elif probe and probe == self._probe:
            self.closed, self._probe = True, 0
            self._closed_at_s = self._now_s()
            self._in_a_row = self._failed_bits = 0
            self.spotless = True

    def failed(self, probe: int = 0) -> None:
        self.spotless = False
        now_s = self._now_s()
        if not self.closed:
            if probe and probe == self._probe:
                self._trip(now_s)
            return
        self._in_a_row += 1
        self._failed_bits = (self._failed_bits << 1 | 1) & self._mask
        share = self._failed_bits.bit_count() / self._rule.window
        if self._in_a_row >= self._rule.failures or share >= self._rule.share:
            if now_s - self._closed_at_s > self._rule.forget_s:
                self._trips = 0
            self._trip(now_s)

    def left(self, probe: int = 0) -> None:
        if probe and probe == self._probe:
            self._probe = 0

    @property
    def _mask(self) -> int:
        return (1 << self._rule.window) - 1

    def _trip(self, now_s: float) -> None:
        longest_s = min(self._rule.open_s * 2.0**self._trips, self._rule.max_open_s)
        self._trips = min(self._trips + 1, _MOST_DOUBLINGS)
        self.closed, self._probe = False, 0
        self._opens_at_s = now_s + longest_s * (0.5 + 0.5 * self._jitter())


_MOST_DOUBLINGS = 32
