"""Which requests are shadowed: a sample that every replica draws alike, at a known propensity."""

from hashlib import blake2b

from router.name import Name


class Sampler(Name):
    """uniform: all at one rate. near_threshold: what is near it more often than what is far."""

    UNIFORM = "uniform"
    NEAR_THRESHOLD = "near_threshold"


def propensity_of(
    sampler: Sampler, confidence: float | None, *, threshold: float, rate: float, floor: float
) -> float:
    """With what probability a request is drawn, in (0, rate] where rate is above 0.

    Near the threshold: `rate` at it, and with the distance in a straight line down to `floor` at
    whichever of 0 and 1 is farther from it. A floor above the rate is the rate. Without a
    confidence, at the rate.
    """
    if sampler is Sampler.UNIFORM or confidence is None or floor >= rate:
        return rate
    distance = abs(confidence - threshold) / max(threshold, 1.0 - threshold)
    return rate - (rate - floor) * min(1.0, distance)


def rarest(sampler: Sampler, *, rate: float, floor: float) -> float:
    """The lowest propensity with which this sampler draws."""
    return rate if sampler is Sampler.UNIFORM else min(rate, floor)


def is_sampled(trace_id: str, rate: float, salt: str) -> bool:
    """Whether this trace is in the sample of share `rate`, its propensity.

    Deterministic: a stable hash of the id, whose random bits make it uniform. Samples of one salt
    are nested (a higher rate keeps what a lower one took); different salts draw independently.
    Raises ValueError for a rate outside [0, 1].
    """
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate must be in [0, 1], got {rate}")
    digest = blake2b(f"{salt}\0{trace_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < rate * 2**64
