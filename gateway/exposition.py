"""Ledgers in the Prometheus text format: added up over the processes that keep them."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from gateway.ledger import Ledger

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    RATIO = "ratio"
    """A part and its whole, each added up over the workers; shown as a gauge."""


@dataclass(frozen=True, slots=True)
class Family:
    """`bounds`: upper ends of a histogram's buckets, but for the last, which has none.

    A histogram's values in a ledger are the count of each bucket by itself, then the sum of all
    that was observed. `over_workers` makes one value of each worker's.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()
    over_workers: Callable[[Iterable[float]], float] = math.fsum

    @property
    def width(self) -> int:
        if self.kind is Kind.HISTOGRAM:
            return len(self.bounds) + 2
        return 2 if self.kind is Kind.RATIO else 1


def render(families: Sequence[Family], ledgers: Sequence[Ledger]) -> bytes:
    """Families without a series are named all the same.

    prometheus_client writes the text, a family at a time: between two of them this thread gives
    the interpreter's lock away, so that no stream waits for the whole of it.
    """
    found: dict[str, dict[tuple[str, ...], list[list[float]]]] = {
        family.name: defaultdict(list) for family in families
    }
    for ledger in ledgers:
        for series, values in ledger.read():
            found[series.family][series.labels].append(values)
    parts = []
    for family in families:
        summed = {
            labels: [family.over_workers(column) for column in zip(*columns, strict=True)]
            for labels, columns in found[family.name].items()
        }
        parts.append(generate_latest(_One(_metric(family, summed))))
        time.sleep(0)
    return b"".join(parts)


class _One(CollectorRegistry):
    """A registry of one metric that is made already."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _metric(family: Family, series: Mapping[tuple[str, ...], list[float]]) -> Metric:
    name, text, labels = family.name, family.help, family.labels
    match family.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(name, text, labels=labels)
            for values, (value,) in series.items():
                counter.add_metric(values, value)
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for values, (value,) in series.items():
                gauge.add_metric(values, value)
            return gauge
        case Kind.RATIO:
            ratio = GaugeMetricFamily(name, text, labels=labels)
            for values, (part, whole) in series.items():
                ratio.add_metric(values, part / whole if whole else math.nan)
            return ratio
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(name, text, labels=labels)
            bounds = [*map(floatToGoString, family.bounds), "+Inf"]
            for values, (*counts, total) in series.items():
                upto = zip(bounds, accumulate(counts), strict=True)
                histogram.add_metric(values, buckets=list(upto), sum_value=total)
            return histogram
