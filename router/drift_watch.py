"""A route's traces, held to its reference one by one as they come."""

from collections.abc import Iterable, Sequence

from router.drift import ENOUGH, PER, Detector, Drift, Reading, Reference, read, reference_of
from router.ruled import ruled
from router.sampling import is_sampled
from router.trace import COMPARING, Exchange, Judgement

_FIRST = dict.fromkeys(Reading, 1000) | {Reading.AGREEMENT: ENOUGH}
"""So many of a route's first readings are its reference, where a threshold brought none."""


class DriftWatch:
    """Of one release. comparator: the one that defines agreement. rarest: the lowest propensity
    with which its requests are judged; those judged more often count as seldom.
    """

    def __init__(
        self,
        reference: Reference | None,
        *,
        comparator: str,
        rarest: float,
        per: float = PER,
    ) -> None:
        self._comparator = comparator
        self._rarest = rarest
        self._per = per
        self._first: dict[Reading, list[float]] = {reading: [] for reading in Reading}
        self._detectors: dict[Reading, Detector] = {}
        for reading in Reading:
            counts = reference.of(reading) if reference is not None else None
            if counts is not None:
                self._detectors[reading] = Detector(reading, counts, per=per)

    def see(self, exchange: Exchange) -> None:
        """Those that no gate ruled on are passed over."""
        if ruled(exchange):
            for reading, value in read(exchange).items():
                self._read(reading, value, exchange.trace_id)

    def judged(self, exchange: Exchange, judgement: Judgement) -> None:
        if ruled(exchange):
            agreement = _agreement(judgement, self._comparator, self._rarest)
            if agreement is not None:
                self._read(Reading.AGREEMENT, agreement, exchange.trace_id)

    def found(self) -> list[Drift]:
        """Of the readings that have a reference by now."""
        return [each.found() for each in self._detectors.values()]

    def _read(self, reading: Reading, value: float, of: str) -> None:
        detector = self._detectors.get(reading)
        if detector is not None:
            detector.see(value, of)
            return
        first = self._first[reading]
        first.append(value)
        if len(first) == _FIRST[reading]:
            counts = reference_of({reading: first}).of(reading)
            assert counts is not None  # noqa: S101 - there are enough of them
            self._detectors[reading] = Detector(reading, counts, per=self._per)
            first.clear()


def taken_from(
    records: Iterable[tuple[Exchange, Sequence[Judgement]]],
    *,
    comparator: str,
    rarest: float,
    now_s: float,
) -> Reference:
    """What a threshold that was found on these is to be held to from now on."""
    values: dict[Reading, list[float]] = {reading: [] for reading in Reading}
    for exchange, judgements in records:
        if not ruled(exchange):
            continue
        for reading, value in read(exchange).items():
            values[reading].append(value)
        for each in judgements:
            if (agreement := _agreement(each, comparator, rarest)) is not None:
                values[Reading.AGREEMENT].append(agreement)
    return reference_of(values, taken_s=now_s)


def _agreement(judgement: Judgement, comparator: str, rarest: float) -> float | None:
    """Of a pair of the kind and as seldom as all that it is held to; None of another."""
    if judgement.by not in COMPARING or judgement.comparator != comparator:
        return None
    seldom = min(1.0, rarest / judgement.propensity)
    return judgement.agreement if is_sampled(judgement.trace_id, seldom, salt="drift") else None
