"""The subcommand of this package: `tutelage distill`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

Runner = Callable[[argparse.Namespace], int]

STEP_NAMES = ("apart", "harvest", "curate", "label", "train", "evaluate", "promote")
"""As in distill.loop, which is too heavy to import for a list."""


def distill(parser: argparse.ArgumentParser) -> Runner:
    """Make the next student of a route from its traces: run, step, status, report."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser("run", help="a whole round: from traces to a decision")
    step = actions.add_parser("step", help="a round up to one of its steps")
    step.add_argument("step", choices=STEP_NAMES)
    status = actions.add_parser("status", help="which steps are done, and how the round ended")
    report = actions.add_parser("report", help="the round as one HTML page; prints where it is")
    for each in (run, step, status, report):
        each.add_argument("route", metavar="ROUTE", help="a route of feedback triage")
        each.add_argument("--out", type=Path, metavar="DIR", help="the round's folder")
    for each in (run, step):
        _add_making(each)

    def go(asked: argparse.Namespace) -> int:
        try:
            from distill.commands import act
        except ImportError as error:
            print(f"tutelage distill: {error}; pip install 'tutelage[distill]'", file=sys.stderr)
            return 2
        return act(asked)

    return go


def _add_making(parser: argparse.ArgumentParser) -> None:
    traces = parser.add_mutually_exclusive_group()
    traces.add_argument(
        "--traces",
        type=Path,
        metavar="FILE",
        help="what `tutelage traces export` wrote (default: it is asked for the route's traces)",
    )
    traces.add_argument(
        "--config", type=Path, metavar="F", help="the gateway's TOML file, which names the store"
    )
    parser.add_argument("--settings", type=Path, metavar="F", help="the round's own TOML file")
    parser.add_argument("--base", type=Path, metavar="GGUF", help="the base model's file")
    parser.add_argument(
        "--incumbent",
        type=Path,
        metavar="DELTA",
        help="student-delta.gguf of the round before (default: the student that ships)",
    )
    parser.add_argument(
        "--shared", type=Path, metavar="DIR", help="a run whose base and frozen states to use"
    )
    parser.add_argument(
        "--taught-by", type=Path, metavar="DIR", help="a run whose soft labels old rows have"
    )
