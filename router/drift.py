"""Has the traffic changed since a threshold was chosen? A detector with a stated false-alarm rate.

What a request shows (a reading) falls into bins that are fixed beforehand. Each new one gets its
conformal p-value among the reference and all that came since: as long as they are exchangeable
these are independent and uniform (Vovk, Gammerman and Shafer 2005). Gamblers bet that they are
not, and their Shiryaev-Roberts sum, R <- (1 + R) x gain, grows by one a reading on average as long
as nothing has changed. So it reaches `per` within n readings with probability n / per at most, and
on average not before `per` of them (Shin, Ramdas and Rinaldo 2022, "E-detectors").
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec

from router.name import Name
from router.psi import Psi, psi
from router.trace import Exchange

ENOUGH = 200
"""Readings of a reference: with fewer, anything would look like a change."""
PER = 100_000
"""One false alarm in so many readings of a signal, on average at most."""
_RECENT = 1000
"""The latest readings, whose distribution is shown beside the reference's."""
_MOST = 10.0
"""Times `per`: the sum is held there, so that an alarm ends some time after its cause. A sum that
is cut short is never too large.
"""
_SLOPES = (-0.9, -0.5, -0.25, 0.25, 0.5, 0.9)
_SPREADS = (-0.45, -0.25, 0.25, 0.5, 0.9)


class Reading(Name):
    """What is watched. agreement: of judged pairs; the others of every request a gate ruled on."""

    CONFIDENCE = "confidence"
    REQUEST_BYTES = "request_bytes"
    DECIDING_TOKENS = "deciding_tokens"
    AGREEMENT = "agreement"


_LOG_ODDS = tuple(half / 2 for half in range(-12, 13))
_SIZES = tuple(2.0 ** (half / 2) for half in range(41))
_TENTHS = tuple((tenth + 0.5) / 10 for tenth in range(10))
_EDGES: Mapping[Reading, tuple[float, ...]] = {
    Reading.CONFIDENCE: tuple(1.0 / (1.0 + math.exp(-each)) for each in _LOG_ODDS),
    Reading.REQUEST_BYTES: _SIZES,
    Reading.DECIDING_TOKENS: _SIZES,
    Reading.AGREEMENT: _TENTHS,
}


class Reference(msgspec.Struct, frozen=True):
    """How often each reading fell into each of its bins, in the traffic that all is held to.

    taken_s: unix seconds; what came later is held to it.
    """

    counts: dict[str, tuple[int, ...]]
    taken_s: float = 0.0

    def of(self, reading: Reading) -> tuple[int, ...] | None:
        """None where there is too little, or the bins are another version's."""
        counts = self.counts.get(reading.value)
        if counts is None or len(counts) != len(_EDGES[reading]) + 1 or sum(counts) < ENOUGH:
            return None
        return counts


class Drift(msgspec.Struct, frozen=True):
    """Of one reading. evidence: the sum as a share of `per`: 1 or more is an alarm. alarmed_after:
    how many readings after the reference the first alarm came; None if none did.
    """

    reading: str
    reference: int
    since: int
    psi: Psi
    evidence: float
    alarmed_after: int | None


def bin_of(reading: Reading, value: float) -> int:
    return bisect_right(_EDGES[reading], value)


def read(exchange: Exchange) -> dict[Reading, float]:
    """What one request shows, whatever the threshold. Bytes: where the trace has its content."""
    found: dict[Reading, float] = {}
    if exchange.confidence is not None:
        found[Reading.CONFIDENCE] = exchange.confidence
    if exchange.request is not msgspec.UNSET:
        found[Reading.REQUEST_BYTES] = len(memoryview(exchange.request))
    if exchange.signals is not None:
        found[Reading.DECIDING_TOKENS] = exchange.signals.deciding
    return found


def reference_of(values: Mapping[Reading, Iterable[float]], *, taken_s: float = 0.0) -> Reference:
    counts: dict[str, tuple[int, ...]] = {}
    for reading, some in values.items():
        tally = [0] * (len(_EDGES[reading]) + 1)
        for value in some:
            tally[bin_of(reading, value)] += 1
        counts[reading.value] = tuple(tally)
    return Reference(counts, taken_s)


class Detector:
    """One reading, held to its reference as it comes. per: see the module."""

    def __init__(self, reading: Reading, reference: tuple[int, ...], *, per: float = PER) -> None:
        if per <= 1.0:
            raise ValueError(f"per must be above 1, got {per}")
        self._reading = reading
        self._reference = reference
        self._seen = list(reference)
        self._total = sum(reference)
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._sums = [0.0] * (len(_SLOPES) + len(_SPREADS))
        self._per = per
        self._since = 0
        self._alarmed_after: int | None = None

    @property
    def evidence(self) -> float:
        """1 or more: an alarm."""
        return sum(self._sums) / len(self._sums) / self._per

    def see(self, value: float, of: str) -> None:
        """of: the trace's id, by which ties are broken alike wherever this is computed."""
        at = bin_of(self._reading, value)
        above = sum(self._seen[at + 1 :])
        tie = _uniform(of, self._reading)
        p = (above + tie * (self._seen[at] + 1)) / (self._total + 1)
        most = _MOST * self._per
        gains = _gains(p)
        self._sums = [
            min(most, (1.0 + held) * gain) for held, gain in zip(self._sums, gains, strict=True)
        ]
        self._seen[at] += 1
        self._total += 1
        self._since += 1
        self._recent.append(at)
        if self._alarmed_after is None and self.evidence >= 1.0:
            self._alarmed_after = self._since

    def found(self) -> Drift:
        recent = [0] * len(self._reference)
        for at in self._recent:
            recent[at] += 1
        return Drift(
            reading=self._reading.value,
            reference=sum(self._reference),
            since=self._since,
            psi=psi(self._reference, recent),
            evidence=self.evidence,
            alarmed_after=self._alarmed_after,
        )


def _gains(p: float) -> list[float]:
    """Each with mean 1 over uniform p, and never below 0: towards one end, or towards both."""
    slope = 2.0 * p - 1.0
    spread = 3.0 * slope * slope - 1.0
    return [1.0 + stake * slope for stake in _SLOPES] + [1.0 + stake * spread for stake in _SPREADS]


def _uniform(of: str, reading: Reading) -> float:
    digest = blake2b(f"{reading.value}\0{of}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
