"""`tutelage traces`: reads a store on this machine and adds to it, gateway running or not."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from router.trace import Reason, ServedBy

Runner = Callable[[argparse.Namespace], int]

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def traces(parser: argparse.ArgumentParser) -> Runner:
    """Read the traces, take them out, bring others in: ls, show, stats, arms, drift, …."""
    pages = parser.add_subparsers(dest="page", metavar="PAGE", required=True)

    ls = _page(pages, "ls", "the latest requests: who answered, why, how sure")
    _add_filters(ls)
    ls.add_argument("--limit", type=_count, default=20, help="how many at most (default 20)")
    _add_since(ls)

    show = _page(pages, "show", "one request: both answers and every judgement")
    show.add_argument("trace_id", metavar="ID", help="a trace id, or enough of its beginning")

    stats = _page(pages, "stats", "coverage, fidelity, latency and cost of each route")
    _add_since(stats)

    divergences = _page(pages, "divergences", "where student and teacher part, most common first")
    divergences.add_argument("route", metavar="ROUTE", help="a route's name, as in the traces")
    divergences.add_argument(
        "--limit", type=_count, default=20, help="how many kinds at most (default 20)"
    )
    _add_since(divergences)

    _add_arms(_page(pages, "arms", "whether a route's candidate agrees less than its incumbent"))

    _add_drift(_page(pages, "drift", "whether traffic is still what a threshold was found on"))

    export = _page(pages, "export", "exchanges and their judgements, a JSON object a line")
    _add_filters(export)
    _add_since(export)
    export.add_argument(
        "--until", type=age_s, metavar="AGE", help="older than this (default: up to now)"
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")

    _add_import(_page(pages, "import", "logs and labelled files of others, as traces of a route"))

    def run(arguments: argparse.Namespace) -> int:
        # rich, sqlite and the config wait for the command that needs them: --help stays fast.
        from gateway.traces.pages import turn_to  # noqa: PLC0415

        return turn_to(arguments)

    return run


def _add_arms(page: argparse.ArgumentParser) -> None:
    page.add_argument("route", metavar="ROUTE", help="a route's name, as in the traces")
    for arm, place in (("incumbent", "last but one"), ("candidate", "last")):
        page.add_argument(
            f"--{arm}",
            metavar="NAME",
            help=f"its release, or its student's model where it has none (default: the {place} "
            "that began)",
        )
    page.add_argument(
        "--margin",
        type=_share,
        default=0.02,
        metavar="M",
        help="the candidate may agree less often by so much (default 0.02)",
    )
    page.add_argument(
        "--alpha",
        type=_share,
        default=0.05,
        metavar="A",
        help="either verdict may be wrong with probability A (default 0.05)",
    )
    page.add_argument("--comparator", help="what agreement means (default: the route's first)")
    _add_since(page)


def _add_drift(page: argparse.ArgumentParser) -> None:
    page.add_argument("route", metavar="ROUTE", help="a route's name, as in the traces")
    page.add_argument(
        "--release",
        metavar="ID",
        help="the requests that this release answered (default: the one of the latest request)",
    )
    page.add_argument("--comparator", help="what agreement means (default: the route's first)")


def _add_import(page: argparse.ArgumentParser) -> None:
    page.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="JSONL of request and response, of OpenAI messages, or, as CSV is, of a prompt and "
        "a label",
    )
    page.add_argument("--route", required=True, help="the route that they are to belong to")
    page.add_argument("--system", metavar="TEXT", help="a system message before labelled prompts")
    page.add_argument("--prompt", metavar="COLUMN", help="of a labelled file, its prompt")
    page.add_argument("--label", metavar="COLUMN", help="of a labelled file, its label")
    page.add_argument(
        "--out", type=Path, metavar="EXPORT", help="write an export there, not into the store"
    )


def _add_filters(page: argparse.ArgumentParser) -> None:
    page.add_argument("--route", help="only this route")
    page.add_argument("--reason", choices=[each.value for each in Reason], help="only this reason")
    page.add_argument(
        "--served-by",
        choices=[each.value for each in ServedBy],
        help="only what this model served",
    )


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


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; write a number between 0 and 1")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count; write a whole number from 1 on")
    return int(text)
