"""The looks of the last so many seconds: what was counted between the first and the last."""

import math
from collections import defaultdict, deque
from collections.abc import Iterator

from gateway.top.look import Labels, Look


class Window:
    """A counter that fell was set back to 0 by a restart, and has counted what it shows since."""

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self._looks: deque[Look] = deque()

    def add(self, look: Look) -> None:
        self._looks.append(look)
        while len(self._looks) > 2 and look.at_s - self._looks[1].at_s >= self.span_s:  # noqa: PLR2004 - two make a window
            self._looks.popleft()

    @property
    def seconds(self) -> float:
        """Between the first look and the last."""
        return self._looks[-1].at_s - self._looks[0].at_s if self._looks else 0.0

    def now(self, name: str, by: str, **where: str) -> dict[str, float]:
        """What the series say, added up by the label `by`."""
        found: dict[str, float] = defaultdict(float)
        if self._looks:
            for labels, value in self._looks[-1].values.get(name, {}).items():
                if (label := _named(labels, by, where)) is not None:
                    found[label] += value
        return dict(found)

    def grown(self, name: str, by: str, **where: str) -> dict[str, float]:
        """By how much the series grew in the window, added up by the label `by`."""
        found: dict[str, float] = defaultdict(float)
        for labels, more in self._growth(name):
            if (label := _named(labels, by, where)) is not None:
                found[label] += more
        return dict(found)

    def total(self, name: str, **where: str) -> float:
        """By how much they grew, all together."""
        wanted = where.items()
        return math.fsum(more for labels, more in self._growth(name) if wanted <= labels)

    def quantile(self, q: float, name: str, **where: str) -> float | None:
        """Of what a histogram observed in the window, as Prometheus' `histogram_quantile` has it:
        linear within a bucket, the last bound for what is past it. None if there was nothing.
        """
        counts = self.grown(f"{name}_bucket", "le", **where)
        bounds = sorted((float(bound), count) for bound, count in counts.items())
        if not bounds or bounds[-1][1] <= 0:
            return None
        wanted = q * bounds[-1][1]
        below, counted = 0.0, 0.0
        for bound, count in bounds:
            if count >= wanted:
                if math.isinf(bound):
                    return below
                share = (wanted - counted) / (count - counted) if count > counted else 1.0
                return below + (bound - below) * share
            below, counted = bound, count
        return below

    def _growth(self, name: str) -> Iterator[tuple[Labels, float]]:
        if not self._looks:
            return
        before = self._looks[0].values.get(name, {})
        for labels, value in self._looks[-1].values.get(name, {}).items():
            was = before.get(labels, 0.0)
            yield labels, value - was if value >= was else value


def _named(labels: Labels, by: str, where: dict[str, str]) -> str | None:
    """The label `by` of a series that has all of `where`."""
    if not where.items() <= labels:
        return None
    return dict(labels).get(by)
