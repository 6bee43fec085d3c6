"""Slots for requests in flight. A slot lives until the last byte left or the client hung up."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import Overloaded

_RETRY_AFTER_S = 1.0


class Admission:
    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self.in_flight = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a slot. Raises Overloaded when none is free."""
        if self.in_flight >= self._max_in_flight:
            raise Overloaded(self._max_in_flight, _RETRY_AFTER_S)
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
