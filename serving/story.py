"""How a command ends, and what its exit status says: served until stopped, or made something."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn, TypeVar

from pydantic import BaseModel
from rich.console import Console, RenderableType

from serving.errors import ServingError
from serving.interrupts import signals_interrupt
from serving.screen import Screen

_NOTHING_LEFT = "stopped; nothing is left running"
_INTERRUPTED = 130

T = TypeVar("T")
Report = TypeVar("Report", bound=BaseModel)


def to_its_end(console: Console, tell: Callable[[Screen, ExitStack], NoReturn]) -> int:
    """Exit status: 0 after Ctrl-C or SIGTERM, 1 after an error, which is printed.

    Whatever ends it, what `tell` left with the stack is undone first.
    """
    return _told(console, tell, lambda _: None, stopped=_NOTHING_LEFT, interrupted=0)


def to_a_report(
    console: Console,
    make: Callable[[Screen, ExitStack], Report],
    table: Callable[[Report], RenderableType],
    *,
    as_json: bool,
    stopped: str = _NOTHING_LEFT,
    beside: Callable[[Report], None] = lambda _: None,
) -> int:
    """Exit status: 0, 130 after Ctrl-C or SIGTERM, 1 after an error, which is printed.

    The report is printed once what `make` left with the stack is undone: as a table, or, as_json,
    alone, with the story on stderr. beside: what else is done with it then.
    """

    def show(report: Report) -> None:
        if as_json:
            console.print(report.model_dump_json(indent=2), markup=False, soft_wrap=True)
        else:
            console.print(table(report))
        beside(report)

    story = Console(stderr=True, highlight=False) if as_json else console
    return _told(story, make, show, stopped=stopped, interrupted=_INTERRUPTED)


def _told(
    console: Console,
    make: Callable[[Screen, ExitStack], T],
    show: Callable[[T], None],
    *,
    stopped: str,
    interrupted: int,
) -> int:
    screen = Screen(console, clock=time.monotonic)
    try:
        with signals_interrupt(), ExitStack() as story:
            made = make(screen, story)
    except KeyboardInterrupt:
        screen.say(stopped)
        return interrupted
    except ServingError as error:
        screen.fail(str(error))
        return 1
    finally:
        screen.rest()
    show(made)
    return 0
