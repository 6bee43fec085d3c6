"""Numbers that one process adds to, and that every process of a gateway can read.

A stretch of memory: the length of the directory, the directory (a JSON line for each series: its
name, its labels, how many values it has), and the values, each a float64. Only the owner writes.
Where the memory is shared, the process that takes a dead one's place goes on in its ledger, so
that no counter goes backwards, not even after a kill -9.
"""

import logging
import mmap
import threading
from collections.abc import Iterator

import msgspec

log = logging.getLogger(__name__)

_VALUES_AT = 1 << 20
_SIZE = 4 << 20
"""Bytes of address space; only what is written to takes memory. Room for 20,000 histograms."""

_SCRATCH = 64
"""Values at the start that nobody reads: where to write when the ledger is full."""

Memory = mmap.mmap


class Series(msgspec.Struct, frozen=True, array_like=True):
    """`labels` are values, in the order of the family's label names; `width` counts values."""

    family: str
    labels: tuple[str, ...]
    width: int


def new_memory() -> Memory:
    """Zeroes; processes that are forked later share it."""
    return mmap.mmap(-1, _SIZE)


class Ledger:
    """`values[at]` for an `at` that `open` gave is the owner's to change, at any time."""

    def __init__(self, memory: Memory | None = None) -> None:
        view = memoryview(memory if memory is not None else new_memory())
        self._written = view[:8].cast("Q")
        self._directory = view[8:_VALUES_AT]
        self.values: memoryview[float] = view[_VALUES_AT:].cast("d")
        self._opening = threading.Lock()
        self._places: dict[tuple[str, tuple[str, ...]], int] = {}
        self._free = _SCRATCH
        for series, at in self._listed():
            self._places[series.family, series.labels] = at
            self._free = at + series.width

    def open(self, family: str, labels: tuple[str, ...], width: int = 1) -> int:
        """Where the values of a series begin; zeroes, unless it was opened before."""
        with self._opening:
            if (place := self._places.get((family, labels))) is not None:
                return place
            line = msgspec.json.encode(Series(family, labels, width)) + b"\n"
            written, place = self._written[0], self._free
            if written + len(line) > len(self._directory) or place + width > len(self.values):
                log.error("%s%s is not counted: the ledger is full", family, labels)
                self._places[family, labels] = 0
                return 0
            self._directory[written : written + len(line)] = line
            self._written[0] = written + len(line)  # only now is it there for readers
            self._free = place + width
            self._places[family, labels] = place
            return place

    def read(self) -> Iterator[tuple[Series, list[float]]]:
        """Every series and its values, as they are now."""
        for series, at in self._listed():
            yield series, list(self.values[at : at + series.width])

    def _listed(self) -> Iterator[tuple[Series, int]]:
        at = _SCRATCH
        for line in bytes(self._directory[: self._written[0]]).splitlines():
            series = msgspec.json.decode(line, type=Series)
            yield series, at
            at += series.width
