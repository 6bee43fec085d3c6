"""`tutelage engines ls` as a table."""

from datetime import datetime, timedelta

from rich.table import Table

from serving.roster import RosterFile, resident_bytes


def engines_table(running: RosterFile, *, now: datetime) -> Table:
    """A row per engine; memory is measured now, the rest is what its supervisor last saw."""
    table = Table(box=None, title=f"behind {running.gateway_url}", title_justify="left")
    for name in ("engine", "state", "pid", "port", "memory", "for"):
        table.add_column(name, no_wrap=True)
    table.add_column("log", overflow="fold")
    for row in running.engines:
        memory = resident_bytes(row.pid) if row.pid is not None else None
        table.add_row(
            row.name,
            row.state,
            "-" if row.pid is None else str(row.pid),
            str(row.port),
            "-" if memory is None else f"{memory / 1e6:.0f} MB",
            _span(now - row.since),
            str(row.log),
        )
    return table


def _span(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
