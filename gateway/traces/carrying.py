"""Traces into a file and from one: what `tutelage traces export` and `import` do."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from gateway.traces.importing import Imported
from gateway.traces.reading import SqliteReader
from gateway.traces.rows import insert_exchanges, insert_judgements
from gateway.traces.schema import connect_writer
from gateway.traces.scrub import Content
from gateway.traces.selection import Selection
from gateway.traces.store import Fate
from router.trace import export_lines

_TOGETHER = 500


def export(reader: SqliteReader, wanted: Selection, out: BinaryIO) -> int:
    """Each exchange on a line, its judgements on the next; how many exchanges there were."""
    count = 0
    for exchange, judgements in reader.selected(wanted):
        out.write(export_lines(exchange, judgements))
        count += 1
    return count


def write_rows(rows: Iterable[Imported], out: BinaryIO) -> int:
    """Imported rows in the form of an export; how many there were."""
    count = 0
    for row in rows:
        out.write(export_lines(row.exchange, () if row.judgement is None else (row.judgement,)))
        count += 1
    return count


def store_rows(rows: Iterable[Imported], path: Path, content: Content) -> Counter[Fate]:
    """Into a store, in one transaction: all of a file, or nothing of it.

    A row that is there already is left as it is, so that a file may be imported again. Raises
    TraceStoreError, CannotImport.
    """
    connection, fates = connect_writer(path), Counter[Fate]()
    with SqliteReader(path) as reader:
        try:
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                new: dict[str, Imported] = {}
                for row in rows:
                    trace_id = row.exchange.trace_id
                    if trace_id in new or reader.find(trace_id) is not None:
                        fates[Fate.DUPLICATE] += 1
                        continue
                    new[trace_id] = row
                for start in range(0, len(new), _TOGETHER):
                    some = list(new.values())[start : start + _TOGETHER]
                    fates += insert_exchanges(connection, [row.exchange for row in some], content)
                    said = [row.judgement for row in some if row.judgement is not None]
                    insert_judgements(connection, said, content)
        finally:
            connection.close()
    return fates
