"""New trace ids. Random bytes come by the page: a system call for each would cost more than it."""

import os
from collections.abc import Callable

from router.trace import new_trace_id

_EACH = 10
_PAGE = 400 * _EACH


class TraceIds:
    """`random(n)` gives n bytes from the operating system."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._page = b""
        self._at = 0

    def new(self, now_s: float) -> str:
        """A UUIDv7; now_s: unix seconds."""
        if self._at == len(self._page):
            self._page, self._at = self._random(_PAGE), 0
        start = self._at
        self._at = start + _EACH
        return new_trace_id(now_s, self._page[start : self._at])
