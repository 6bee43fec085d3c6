"""How far two samples lie apart: the population stability index, and what chance alone makes of it.

PSI = sum over bins of (q - p) ln(q / p). Rules of thumb (0.1, 0.25) forget the size of the samples:
where both are of one distribution, PSI is about (1/n + 1/m) times a chi-square of bins - 1 degrees
of freedom (Yurdakul 2018), so a small sample shows 0.25 by chance.
"""

import math
from collections.abc import Sequence

import msgspec

_BINS = 10
_HALF = 0.5
"""Added to each count: no bin is empty."""
_NORMAL_99 = 2.3263478740408408


class Psi(msgspec.Struct, frozen=True):
    """by_chance: what two samples of one distribution stay under, 99 times in 100."""

    value: float
    by_chance: float


def psi(reference: Sequence[int], recent: Sequence[int]) -> Psi:
    """Of counts over the same ordered bins, joined until each holds a tenth of the reference.

    Without anything recent: 0, and by chance anything.
    """
    if len(reference) != len(recent):
        raise ValueError(f"as many bins are needed, got {len(reference)} and {len(recent)}")
    before, after = sum(reference), sum(recent)
    if not before or not after:
        return Psi(0.0, math.inf)
    joined = _joined(reference, recent)
    bins = len(joined)
    value = 0.0
    for old, new in joined:
        p = (old + _HALF) / (before + _HALF * bins)
        q = (new + _HALF) / (after + _HALF * bins)
        value += (q - p) * math.log(q / p)
    return Psi(value, (1.0 / before + 1.0 / after) * _chi_square_99(bins - 1))


def _joined(reference: Sequence[int], recent: Sequence[int]) -> list[tuple[int, int]]:
    """At least two, where there are two bins at all."""
    wanted = sum(reference) / _BINS
    found: list[tuple[int, int]] = []
    old = new = 0
    for one, other in zip(reference, recent, strict=True):
        old, new = old + one, new + other
        if old >= wanted:
            found.append((old, new))
            old = new = 0
    if old or new or len(found) < 2:  # noqa: PLR2004 - one bin tells nothing apart
        found.append((old, new))
    return found


def _chi_square_99(degrees: int) -> float:
    """Wilson and Hilferty's approximation of the 99 % quantile."""
    ninth = 2.0 / (9.0 * degrees)
    return degrees * (1.0 - ninth + _NORMAL_99 * math.sqrt(ninth)) ** 3
