"""Ctrl-C, SIGTERM and a closed terminal, all three as one KeyboardInterrupt."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ORDERED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Each of them interrupts the story once; the way out is not interrupted again."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in ORDERED:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ORDERED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
