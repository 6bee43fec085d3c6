"""What the tour adds up: shares with their uncertainty, latency, cost. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """In [0, 1]; 0 of 0 is 0."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson score interval: honest at small n and near 0 and 1."""
        if self.of == 0:
            return 0.0, 1.0
        n, p, z2 = self.of, self.value, Z_95 * Z_95
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.0%} ({low:.0%} to {high:.0%})"


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that `share` of them do not exceed. NaN for none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Column:
    """How one way of answering did on the same questions."""

    title: str
    right: Share
    """Label equal to the gold label; a failed or unreadable answer counts as wrong."""
    took_s: tuple[float, ...]
    """Of the requests that were answered."""
    usd: float
    failed: int

    @property
    def p50_s(self) -> float:
        return percentile(self.took_s, 0.50)

    @property
    def p95_s(self) -> float:
        return percentile(self.took_s, 0.95)

    @property
    def usd_per_1k_requests(self) -> float:
        answered = len(self.took_s)
        return 1000 * self.usd / answered if answered else math.nan
