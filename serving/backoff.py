"""How long to wait before the next try: doubling, capped, forgiven after a good run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential: `first_s`, twice that, and so on up to `most_s`."""

    first_s: float = 0.5
    most_s: float = 30.0
    forgiven_after_s: float = 60.0
    """A run this long clears the record of failures before it."""

    def delay_s(self, failures: int) -> float:
        """Before the next try, after `failures` (1 or more) short runs in a row."""
        doublings = min(failures - 1, 32)  # 2**32 is over any cap; a larger power overflows
        return min(self.most_s, self.first_s * 2.0**doublings)

    def failures_after(self, failures: int, *, ran_s: float) -> int:
        """The count once a run of `ran_s` seconds has ended."""
        return 1 if ran_s >= self.forgiven_after_s else failures + 1
