"""`tutelage top`: its arguments, but for the gateway's URL."""

import argparse
import asyncio
from collections.abc import Callable

Runner = Callable[[argparse.Namespace], int]

_SHORTEST_S, _LONGEST_S = 0.1, 3600.0


def top(parser: argparse.ArgumentParser) -> Runner:
    """The live picture of a running gateway: rate, coverage, latency, reasons, engines."""
    parser.add_argument(
        "--every", type=_seconds, default=1.0, metavar="S", help="seconds between looks (default 1)"
    )
    parser.add_argument(
        "--once", action="store_true", help="two looks, so many seconds apart; print, and end"
    )

    def run(arguments: argparse.Namespace) -> int:
        # httpx, rich and textual wait for the command that needs them: --help stays fast.
        from gateway.top.showing import show  # noqa: PLC0415

        return asyncio.run(show(arguments.url, every_s=arguments.every, once=arguments.once))

    return run


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r}: seconds from 0.1 to 3600")
    return seconds
