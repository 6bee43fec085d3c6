"""A share and how far it can be trusted: Wilson's 95 % interval."""

import math
from dataclasses import dataclass

NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its two-sided 95 % interval."""

    estimate: float
    lower: float
    upper: float

    def __str__(self) -> str:
        """As figures are stated in this project: `.781 [.764, .797]`."""
        shown = (f"{x:.3f}".removeprefix("0") for x in (self.estimate, self.lower, self.upper))
        return "{} [{}, {}]".format(*shown)


def wilson_interval(share: float, count: float) -> Interval:
    """Score interval of a binomial share (Wilson 1927): right for few pairs and for shares near 1.

    `count` may be fractional (an effective number) but must be positive.
    """
    if not count > 0:
        raise ValueError(f"count must be positive, got {count}")
    square = NORMAL_95**2
    shrink = 1.0 + square / count
    centre = (share + square / (2 * count)) / shrink
    variance = share * (1 - share) / count + square / (4 * count**2)
    half = NORMAL_95 / shrink * math.sqrt(variance)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))
