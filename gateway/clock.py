"""The clock that is handed in wherever time is read, so that tests own it."""

import time
from typing import Protocol


class Clock(Protocol):
    def unix_s(self) -> float: ...
    def monotonic_s(self) -> float: ...


class SystemClock:
    """Read six times a request: no frame of ours around it."""

    unix_s = staticmethod(time.time)  # noqa: TID251 - this is the clock
    monotonic_s = staticmethod(time.monotonic)
