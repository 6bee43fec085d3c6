"""Records as rows: what of them stands in columns, and how many are inserted at once.

Many rows go in by one statement: the interpreter's lock is given up once for all of them, and the
event loop, which needs it too, gets it in between. Where one of them cannot be stored the
statement does nothing, and they are inserted one by one to find it.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache
from itertools import chain, count
from typing import NamedTuple

from gateway.logs import of_trace
from gateway.traces.keys import key_of, trace_id_of
from gateway.traces.scrub import Content, Kind, scrub
from gateway.traces.store import Fate
from router.trace import Exchange, Judgement, encode

log = logging.getLogger(__name__)

ITS_OWN_FAULT = (
    ValueError,
    TypeError,
    OverflowError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What one record does (half a surrogate pair, a NaN for a time) that the next one need not."""

_TOGETHER = 64

_PUT_EXCHANGE = "INSERT INTO exchanges VALUES (?,?,?,?,?,?,?,?,?,?)"
_PUT_RECORD = "INSERT INTO records VALUES (?,?)"
_PUT_JUDGEMENT = "INSERT INTO judgements VALUES (?,?,?,?,?,?,?)"


class Row(NamedTuple):
    """columns: those between the key and the record, in the order of the table.

    Of exact types, and `bytearray` for bytes: sqlite3 asks around for every other value who might
    adapt it, at half a microsecond each.
    """

    key: bytearray
    columns: tuple[str | float | None, ...]
    record: bytearray


def exchange_row(exchange: Exchange) -> Row:
    """Raises one of ITS_OWN_FAULT."""
    return Row(
        bytearray(key_of(exchange.trace_id)),
        (
            exchange.route,
            _plain(exchange.served_by),
            _plain(exchange.reason),
            _plain(exchange.outcome),
            exchange.confidence,
            exchange.total_s,
            exchange.cost_usd,
            exchange.saved_usd,
        ),
        bytearray(encode(exchange)),
    )


def judgement_row(judgement: Judgement) -> Row:
    """Raises one of ITS_OWN_FAULT."""
    return Row(
        bytearray(key_of(judgement.trace_id)),
        (
            judgement.ts,
            _plain(judgement.by),
            judgement.comparator,
            judgement.agreement,
            judgement.propensity,
        ),
        bytearray(encode(judgement)),
    )


def _plain(name: StrEnum | None) -> str | None:
    """The exact str."""
    return str(name) if name is not None else None


def insert_exchanges(
    connection: sqlite3.Connection, exchanges: Sequence[Exchange], content: Content
) -> Counter[Fate]:
    """In the writer's transaction. Raises sqlite3.OperationalError for what is the store's fault.

    An exchange and its record are joined by a number; only who holds the lock gives one.
    """
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM records").fetchone()
    numbers = count(last + 1)

    def together(rows: Sequence[Row]) -> None:
        numbered = list(zip(numbers, rows))  # noqa: B905 - there is no end of numbers
        put = _many(_PUT_EXCHANGE, len(rows))
        flat = chain.from_iterable((row.key, *row.columns, number) for number, row in numbered)
        connection.execute(put, tuple(flat))
        put = _many(_PUT_RECORD, len(rows))
        flat = chain.from_iterable((number, row.record) for number, row in numbered)
        connection.execute(put, tuple(flat))

    def alone(row: Row) -> Fate:
        put, number = f"{_PUT_EXCHANGE} ON CONFLICT (trace) DO NOTHING", next(numbers)
        if not connection.execute(put, (row.key, *row.columns, number)).rowcount:
            return Fate.DUPLICATE
        connection.execute(_PUT_RECORD, (number, row.record))
        return Fate.STORED

    return _insert(exchanges, lambda each: exchange_row(scrub(each, content)), together, alone)


def insert_judgements(
    connection: sqlite3.Connection, judgements: Sequence[Judgement], content: Content
) -> Counter[Fate]:
    """As `insert_exchanges`; a trace may have any number of judgements."""

    def together(rows: Sequence[Row]) -> None:
        put = _many(_PUT_JUDGEMENT, len(rows))
        flat = chain.from_iterable((row.key, *row.columns, row.record) for row in rows)
        connection.execute(put, tuple(flat))

    def alone(row: Row) -> Fate:
        together([row])
        return Fate.STORED

    return _insert(judgements, lambda each: judgement_row(scrub(each, content)), together, alone)


@cache
def _many(put: str, rows: int) -> str:
    head, values = put.split("VALUES ")
    return f"{head}VALUES {','.join([values] * rows)}"


def _insert(
    records: Sequence[Kind],
    row_of: Callable[[Kind], Row],
    together: Callable[[Sequence[Row]], None],
    alone: Callable[[Row], Fate],
) -> Counter[Fate]:
    fates: Counter[Fate] = Counter()
    for start in range(0, len(records), _TOGETHER):
        rows: list[Row] = []
        for record in records[start : start + _TOGETHER]:
            try:
                rows.append(row_of(record))
            except ITS_OWN_FAULT as error:
                fates[_unwritable(record.trace_id, error)] += 1
        while rows:
            # Powers of two: few different statements, which are prepared once each.
            size = 1 << len(rows).bit_length() - 1
            some, rows = rows[:size], rows[size:]
            try:
                together(some)
            except ITS_OWN_FAULT:
                fates.update(_alone(row, alone) for row in some)
            else:
                fates[Fate.STORED] += size
    return fates


def _alone(row: Row, insert: Callable[[Row], Fate]) -> Fate:
    try:
        return insert(row)
    except ITS_OWN_FAULT as error:
        return _unwritable(trace_id_of(bytes(row.key)), error)


def _unwritable(trace_id: str, error: Exception) -> Fate:
    log.warning("trace %s cannot be stored: %s", trace_id, error, extra=of_trace(trace_id))
    return Fate.UNWRITABLE
