"""A command that serves until it is stopped: how it ends, and what its exit status says."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

from rich.console import Console

from serving.errors import ServingError
from serving.interrupts import signals_interrupt
from serving.screen import Screen


def to_its_end(console: Console, tell: Callable[[Screen, ExitStack], NoReturn]) -> int:
    """Exit status: 0 after Ctrl-C or SIGTERM, 1 after an error, which is printed.

    Whatever ends it, what `tell` left with the stack is undone first.
    """
    screen = Screen(console, clock=time.monotonic)
    try:
        with signals_interrupt(), ExitStack() as story:
            tell(screen, story)
    except KeyboardInterrupt:
        screen.say("stopped; nothing is left running")
        return 0
    except ServingError as error:
        screen.fail(str(error))
        return 1
    finally:
        screen.rest()
