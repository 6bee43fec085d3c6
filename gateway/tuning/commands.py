"""`tutelage tune ROUTE`: its arguments."""

import argparse
from collections.abc import Callable
from pathlib import Path

from gateway.traces.commands import age_s

Runner = Callable[[argparse.Namespace], int]


def tune(parser: argparse.ArgumentParser) -> Runner:
    """Find a route's threshold from its judged traces, with a promise; replay some; or revert."""
    parser.add_argument("route", metavar="ROUTE", help="a route's name, as in the traces")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--config", type=Path, help="the TOML file that names the store")
    where.add_argument(
        "--store",
        metavar="URL",
        help="the store itself, sqlite:///path (default: traces.db in TUTELAGE_HOME)",
    )
    parser.add_argument(
        "--since",
        type=age_s,
        metavar="AGE",
        help="not older than this: 12h, 7d, 2w (default: everything)",
    )
    wish = parser.add_argument_group("what is wished for; one at least, or --replay")
    wish.add_argument(
        "--max-risk",
        type=_share,
        metavar="E",
        help="of what the student serves, a share of E at most differs from the teacher",
    )
    wish.add_argument(
        "--delta",
        type=_share,
        default=0.05,
        metavar="D",
        help="the promise may fail with probability D (default 0.05)",
    )
    wish.add_argument(
        "--teacher-share",
        type=_share,
        metavar="S",
        help="the teacher answers a share of S at most",
    )
    wish.add_argument(
        "--budget",
        type=_positive,
        metavar="USD",
        help="a request costs so much at most, on average",
    )
    wish.add_argument(
        "--replay",
        type=_share,
        nargs="+",
        metavar="T",
        help="what these thresholds would have done, and nothing else",
    )
    parser.add_argument(
        "--score",
        choices=["recorded", "calibrated"],
        default="recorded",
        help="the confidence that the gate ruled by (default), or one fitted on the signals",
    )
    parser.add_argument(
        "--comparator", help="what agreement means (default: the route's first comparator)"
    )
    parser.add_argument(
        "--slice-by",
        metavar="WHAT",
        help="tell it for each caller, script (of what users wrote) or metadata.KEY as well",
    )
    parser.add_argument(
        "--release",
        metavar="ID",
        help="the requests that this release answered (default: the one of the latest request)",
    )
    parser.add_argument(
        "--apply",
        metavar="WHY",
        help="put the threshold in force, for this reason; running gateways follow within 2 s",
    )
    parser.add_argument(
        "--revert",
        metavar="WHY",
        help="put back what was in force before the last change, for this reason, and nothing else",
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="the curve as a picture")
    parser.add_argument("--json", action="store_true", help="one JSON object")

    def run(arguments: argparse.Namespace) -> int:
        wished = (arguments.max_risk, arguments.teacher_share, arguments.budget, arguments.replay)
        if arguments.revert is not None:
            if arguments.config is None or arguments.apply or any(wished):
                parser.error("--revert goes with --config alone: it is the gateway's own state")
            from gateway.tuning.report import revert  # noqa: PLC0415 - as below

            return revert(arguments)
        if all(each is None for each in wished):
            parser.error("say what is wished for: --max-risk 0.02, for one; or --replay 0.8")
        if arguments.apply is not None and (arguments.config is None or arguments.replay):
            parser.error("--apply goes with --config and a wish: it is the gateway's own state")
        # rich, numpy and sqlite wait for the command that needs them: --help stays fast.
        from gateway.tuning.report import report  # noqa: PLC0415

        return report(arguments)

    return run


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; write a number between 0 and 1")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value > 0.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a price; write dollars, as in 0.0004")
    return value
