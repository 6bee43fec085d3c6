"""Whether a route's traffic has changed since its threshold was found: a page of `traces`."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.config import Settings
from gateway.rulings import Rulings
from gateway.traces.reading import SqliteReader
from gateway.traces.store import TraceStoreError
from router.drift import PER, Drift
from router.drift_watch import DriftWatch
from router.evidence import Record, first_comparator
from router.ruled import ruled
from router.sampling import rarest
from router.trace import Exchange, Judgement

_ALL = 1.0


class Drifted(msgspec.Struct, frozen=True):
    """taken_s: when the reference was taken, with a threshold that was applied; None where the
    release's first requests are it. per: readings to a false alarm, on average at least.
    """

    route: str
    release: str | None
    comparator: str | None
    per: float
    taken_s: float | None
    readings: list[Drift]


def drifted(
    reader: SqliteReader,
    arguments: argparse.Namespace,
    settings: Settings | None,
    rulings: Rulings,
) -> Drifted:
    """By the rule of the gateway itself. Raises TraceStoreError where no gate ruled on anything."""
    name = arguments.route
    records = [each for each in reader.of_route(name) if ruled(each[0])]
    if not records:
        raise TraceStoreError(f"route {name!r}: no gate has ruled on any request in these traces")
    release = arguments.release or records[-1][0].release
    records = [each for each in records if each[0].release == release]
    configured = settings.routes.get(name) if settings is not None else None
    comparator = arguments.comparator or (
        configured.compare[0].value if configured is not None else first_comparator(records)
    )
    if configured is not None:
        shadow = configured.shadow
        seldom = rarest(shadow.sampler, rate=shadow.rate, floor=shadow.floor)
    else:
        seldom = min((each.propensity or _ALL for each, _ in records), default=_ALL)
    per = configured.drift.false_alarm_every if configured is not None else PER
    references = rulings.references() if rulings.path.exists() else {}
    reference = references.get((name, release))
    taken_s = reference.taken_s if reference is not None else None
    if taken_s is not None:
        records = [each for each in records if each[0].ts >= taken_s]
    watch = DriftWatch(reference, comparator=comparator or "", rarest=seldom, per=per)
    for exchange, _ in records:
        watch.see(exchange)
    for exchange, judgement in _judged(records):
        watch.judged(exchange, judgement)
    return Drifted(name, release, comparator, per, taken_s, watch.found())


def told(found: Drifted) -> RenderableType:
    if found.taken_s is not None:
        when = datetime.fromtimestamp(found.taken_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
        held = f"the traffic that its threshold of {when} was found on"
    else:
        held = "its first requests (no threshold was applied that remembers its traffic)"
    whose = f" with release {found.release}" if found.release is not None else ""
    head = Text(f"{found.route}{whose}, held to {held}:")
    if not found.readings:
        return Group(head, Text("too few requests yet to be held to anything."))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("reading")
    for name in ("reference", "since", "PSI", "by chance", "evidence", "alarm after"):
        table.add_column(name, justify="right")
    for each in found.readings:
        alarm = f"{each.alarmed_after:,}" if each.alarmed_after is not None else "none"
        style = "bold red" if each.evidence >= 1.0 else ""
        table.add_row(
            each.reading,
            f"{each.reference:,}",
            f"{each.since:,}",
            f"{each.psi.value:.3f}",
            f"{each.psi.by_chance:.3f}",
            f"{each.evidence:.3g}",
            alarm,
            style=style,
        )
    foot = (
        f"Evidence of 1 or more is an alarm; without a change one comes in {found.per:,.0f} "
        "readings on average at most. PSI is of the latest 1,000; by chance it is below the figure "
        "beside it 99 times in 100."
    )
    return Group(head, table, Text(foot))


def _judged(records: Sequence[Record]) -> list[tuple[Exchange, Judgement]]:
    """In the order in which they were made."""
    found = [(exchange, each) for exchange, judgements in records for each in judgements]
    return sorted(found, key=lambda pair: pair[1].ts)
