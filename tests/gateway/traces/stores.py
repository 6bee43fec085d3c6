"""Stores that a gateway might have written."""

from collections.abc import Iterable
from pathlib import Path

from gateway.traces.schema import connect_writer
from gateway.traces.scrub import Content
from gateway.traces.sqlite import SqliteWriter
from router.evidence import Record
from tests.gateway.traces.records import SetClock, Tally


async def stored(path: Path, records: Iterable[Record]) -> str:
    """These are in the store at `path` too, and its URL."""
    writer = SqliteWriter(
        connect_writer(path),
        content=Content.FULL,
        retention_days=36500.0,
        clock=SetClock(),
        on_outcome=Tally(),
        capacity=1_000_000,
    )
    for exchange, judgements in records:
        writer.put(exchange)
        for each in judgements:
            writer.put(each)
    await writer.aclose()
    return f"sqlite://{path}"
