"""Where the two models differ, and whether one arm of a route differs more: pages of `traces`."""

import argparse
from collections import defaultdict
from collections.abc import Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.traces.reading import SqliteReader
from gateway.traces.store import TraceStoreError
from router.clusters import Cluster, cluster
from router.evidence import Record, first_comparator, judgeable
from router.sequential import Contest, Verdict, contest, pair_up

_SAID = {
    Verdict.HARM: "is worse",
    Verdict.SUCCESS: "is not worse",
    Verdict.UNDECIDED: "is not known to be worse or not",
}


class Arms(msgspec.Struct, frozen=True):
    """What was compared, and what came out."""

    incumbent: str
    candidate: str
    comparator: str
    margin: float
    alpha: float
    found: Contest


def divergences(
    reader: SqliteReader, arguments: argparse.Namespace, since_s: float
) -> list[Cluster]:
    """The largest ones."""
    return cluster(reader.of_route(arguments.route, since_s=since_s))[: arguments.limit]


def arms(reader: SqliteReader, arguments: argparse.Namespace, since_s: float) -> Arms:
    """Raises TraceStoreError where there are no two arms, or nothing of them was compared."""
    by_name = defaultdict[str, list[Record]](list)
    for record in judgeable(list(reader.of_route(arguments.route, since_s=since_s))):
        exchange, _ = record
        name = exchange.release or (exchange.student.model if exchange.student else None)
        if name is not None:
            by_name[name].append(record)
    latest = ["", "", *by_name]
    names = (arguments.incumbent or latest[-2], arguments.candidate or latest[-1])
    if names[0] == names[1] or any(name not in by_name for name in names):
        raise TraceStoreError(
            f"route {arguments.route!r}: two arms are needed, --incumbent and --candidate; these "
            f"traces have {', '.join(by_name) or 'none'}"
        )
    incumbent, candidate = (by_name[name] for name in names)
    comparator = arguments.comparator or first_comparator([*incumbent, *candidate])
    if comparator is None:
        raise TraceStoreError("no request of these arms was compared; set [routes.X.shadow] rate")
    differences = pair_up(incumbent, candidate, comparator)
    found = contest(differences, margin=arguments.margin, alpha=arguments.alpha)
    return Arms(*names, comparator, arguments.margin, arguments.alpha, found)


def listed(clusters: Sequence[Cluster]) -> RenderableType:
    if not clusters:
        return Text("no divergence: nothing was compared, or all of it agreed")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("comparator", "parts at", "student | teacher", "an example"):
        table.add_column(name)
    for name in ("share of compared", "pairs"):
        table.add_column(name, justify="right")
    for each in clusters:
        said = ", ".join(f"{pair} x {count}" for pair, count in each.pairs)
        row = (each.comparator, each.where, said, each.examples[0])
        table.add_row(*map(Text, row), f"{each.share:.2%}", str(each.count))
    return table


def told(arms: Arms) -> RenderableType:
    found, difference = arms.found, arms.found.difference
    verdict = (
        f"{arms.candidate} {_SAID[found.verdict]} than {arms.incumbent} (margin {arms.margin:g}, "
        f"wrong with probability {arms.alpha:g} at most, however often one looks)."
    )
    basis = (
        f"{found.pairs} pairs by {arms.comparator}; difference in agreement "
        f"{difference.estimate:+.3f} ({difference.lower:+.3f} to {difference.upper:+.3f})."
    )
    lines = [verdict, basis]
    if found.verdict is not Verdict.UNDECIDED:
        lines.append(f"That was sure after {found.at} of them.")
    elif found.more_pairs is not None:
        lines.append(f"If it goes on so, about {found.more_pairs} more pairs show that it is not.")
    return Group(*map(Text, lines))
