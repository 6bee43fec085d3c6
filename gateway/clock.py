"""The clock that is handed in wherever time is read, so that tests own it."""

import time
from typing import Protocol


class Clock(Protocol):
    def unix_s(self) -> float: ...
    def monotonic_s(self) -> float: ...


class SystemClock:
    def unix_s(self) -> float:
        return time.time_ns() / 1e9

    monotonic_s = staticmethod(time.monotonic)
    """Read six times a request: no frame of ours around it."""
