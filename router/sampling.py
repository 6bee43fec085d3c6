"""Which requests are shadowed: a uniform sample that every replica draws alike."""

from hashlib import blake2b


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
