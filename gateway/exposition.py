"""Ledgers in the Prometheus text format: added up over the processes that keep them."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from gateway.ledger import Ledger

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


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
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1


def render(families: Sequence[Family], ledgers: Sequence[Ledger]) -> bytes:
    """Families without a series are named all the same."""
    found: dict[str, dict[tuple[str, ...], list[list[float]]]] = {
        family.name: defaultdict(list) for family in families
    }
    for ledger in ledgers:
        for series, values in ledger.read():
            found[series.family][series.labels].append(values)
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {_escaped_help(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for labels, columns in found[family.name].items():
            values = [family.over_workers(column) for column in zip(*columns, strict=True)]
            lines += _series(family, labels, values)
    return "\n".join([*lines, ""]).encode()


def _series(family: Family, labels: tuple[str, ...], values: list[float]) -> Iterable[str]:
    named = ",".join(
        f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, labels, strict=True)
    )
    if family.kind is not Kind.HISTOGRAM:
        yield f"{family.name}{{{named}}} {values[0]!r}" if named else f"{family.name} {values[0]!r}"
        return
    *counts, total = values
    comma, braced = (",", f"{{{named}}}") if named else ("", "")
    bounds = [*map(repr, map(float, family.bounds)), "+Inf"]
    for bound, count in zip(bounds, accumulate(counts), strict=True):
        yield f'{family.name}_bucket{{{named}{comma}le="{bound}"}} {count!r}'
    yield f"{family.name}_count{braced} {math.fsum(counts)!r}"
    yield f"{family.name}_sum{braced} {total!r}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
