"""`tutelage engines ls` as tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rich.table import Table

from serving.elsewhere import Elsewhere, Sight
from serving.roster import RosterFile, resident_bytes


def engines_table(
    running: RosterFile, *, now: datetime, rates: Mapping[str, float] | None = None
) -> Table:
    """A row per engine; memory is measured now, the rest is what its supervisor last saw.

    `rates`: tokens a second, by the engine's url.
    """
    title = f"behind {running.gateway_url}" if running.gateway_url else "without a gateway"
    table = Table(box=None, title=title, title_justify="left")
    for name in ("engine", "state", "pid", "port", "memory", "tok/s", "for"):
        table.add_column(name, no_wrap=True)
    table.add_column("log", overflow="fold")
    for row in running.engines:
        memory = resident_bytes(row.pid) if row.pid is not None else None
        rate = (rates or {}).get(row.url)
        table.add_row(
            row.name,
            row.state,
            "-" if row.pid is None else str(row.pid),
            str(row.port),
            "-" if memory is None else f"{memory / 1e6:.0f} MB",
            "-" if rate is None else f"{rate:.1f}",
            _span(now - row.since),
            str(row.log),
        )
    return table


def elsewhere_table(seen: Sequence[tuple[Elsewhere, Sight]]) -> Table:
    """A row per address that is not ours to start."""
    table = Table("upstream", "state", "at", "seen", box=None)
    table.title, table.title_justify = "elsewhere", "left"
    for place, sight in seen:
        table.add_row(place.upstream, sight.state, place.base_url, sight.note)
    return table


def _span(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
