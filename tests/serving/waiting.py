"""Waits for something in another process that sends no event: looks again until a deadline."""

import threading
import time
from collections.abc import Callable

_LOOK_EVERY_S = 0.02


def until(what: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Returns once `what()` is true; fails the test if it is not in time."""
    deadline = time.monotonic() + within_s
    never = threading.Event()
    while not what():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        never.wait(_LOOK_EVERY_S)
