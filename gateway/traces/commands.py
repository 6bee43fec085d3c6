"""`tutelage traces ls|show|stats`: reads a store on this machine, gateway running or not."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from router.trace import Reason, ServedBy

Runner = Callable[[argparse.Namespace], int]

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def traces(parser: argparse.ArgumentParser) -> Runner:
    """Read the traces: ls, show, stats."""
    pages = parser.add_subparsers(dest="page", metavar="PAGE", required=True)

    ls = _page(pages, "ls", "the latest requests: who answered, why, how sure")
    ls.add_argument("--route", help="only this route")
    ls.add_argument("--reason", choices=[each.value for each in Reason], help="only this reason")
    ls.add_argument(
        "--served-by",
        choices=[each.value for each in ServedBy],
        help="only what this model served",
    )
    ls.add_argument("--limit", type=_count, default=20, help="how many at most (default 20)")
    _add_since(ls)

    show = _page(pages, "show", "one request: both answers and every judgement")
    show.add_argument("trace_id", metavar="ID", help="a trace id, or enough of its beginning")

    stats = _page(pages, "stats", "coverage, fidelity, latency and cost of each route")
    _add_since(stats)

    def run(arguments: argparse.Namespace) -> int:
        # rich, sqlite and the config wait for the command that needs them: --help stays fast.
        from gateway.traces.pages import turn_to  # noqa: PLC0415

        return turn_to(arguments)

    return run


def _page(
    pages: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str
) -> argparse.ArgumentParser:
    parser = pages.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--config", type=Path, help="the TOML file that names the store")
    where.add_argument(
        "--store",
        metavar="URL",
        help="the store itself, sqlite:///path (default: traces.db in TUTELAGE_HOME)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=age_s,
        metavar="AGE",
        help="not older than this: 90s, 30m, 12h, 7d, 2w (default: everything)",
    )


def age_s(text: str) -> float:
    """Seconds in `90s`, `30m`, `12h`, `7d` or `2w`."""
    match = _AGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age; write 90s, 30m, 12h, 7d or 2w")
    return float(match[1]) * _UNITS_S[match[2]]


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count; write a whole number from 1 on")
    return int(text)
