"""What came into a store since the last look, in the order in which it came."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from gateway.traces.keys import first_key
from gateway.traces.schema import connect_reader
from gateway.traces.store import TraceStoreError
from router.trace import (
    Exchange,
    Judgement,
    UnreadableTraceError,
    decode_exchange,
    decode_judgement,
)

MOST = 500
"""Some 20 ms of the interpreter's lock."""
_LOOKS_BEHIND = 60
"""Who is farther behind than so many looks reads one of every few."""

_LAST = "SELECT (SELECT max(number) FROM records), (SELECT max(rowid) FROM judgements)"
_BEGIN = "SELECT min(number) FROM exchanges WHERE trace >= ?"
_EXCHANGES = """
SELECT number, record FROM records
WHERE number > :seen AND number <= :last AND number % :each = 0
ORDER BY number LIMIT :most
"""
_JUDGEMENTS = """
SELECT judgements.rowid, records.record, judgements.record
FROM judgements JOIN exchanges USING (trace) JOIN records USING (number)
WHERE judgements.rowid > :seen AND judgements.rowid <= :last AND judgements.rowid % :each = 0
  AND judge IN ('shadow', 'fallback') AND agreement IS NOT NULL
ORDER BY judgements.rowid LIMIT :most
"""


class News(NamedTuple):
    """judged: pairs that were compared, each with its exchange."""

    exchanges: list[Exchange]
    judged: list[tuple[Exchange, Judgement]]


class Following:
    """Of the store at `path`, opened anew by every look. All raise TraceStoreError."""

    def __init__(self, path: Path, *, most: int = MOST) -> None:
        """most: records of a kind at a look."""
        self._path = path
        self._most = most
        self._number = 0
        self._rowid = 0

    def rewind(self, since_s: float) -> None:
        """The next look begins where the exchanges of that time begin."""
        self._number = self._rowid = 0
        if since_s > 0.0:
            with self._open() as file:
                (number,) = file.execute(_BEGIN, (first_key(since_s),)).fetchone()
                (last, _) = file.execute(_LAST).fetchone()
            self._number = number - 1 if number is not None else last or 0

    def look(self) -> News:
        try:
            with self._open() as file:
                last_number, last_rowid = file.execute(_LAST).fetchone()
                exchanges = file.execute(
                    _EXCHANGES, self._from(self._number, last_number)
                ).fetchall()
                judged = file.execute(_JUDGEMENTS, self._from(self._rowid, last_rowid)).fetchall()
                found = News(
                    [decode_exchange(record) for _, record in exchanges],
                    [
                        (decode_exchange(record), decode_judgement(judgement))
                        for _, record, judgement in judged
                    ],
                )
        except (sqlite3.Error, UnreadableTraceError) as error:
            raise TraceStoreError(f"store: {self._path} cannot be followed: {error}") from error
        self._number = exchanges[-1][0] if len(exchanges) == self._most else last_number or 0
        self._rowid = judged[-1][0] if len(judged) == self._most else last_rowid or 0
        return found

    def _open(self) -> "closing[sqlite3.Connection]":
        return closing(connect_reader(self._path))

    def _from(self, seen: int, last: int | None) -> dict[str, int]:
        each = max(1, -(-((last or 0) - seen) // (self._most * _LOOKS_BEHIND)))
        return {"seen": seen, "last": last or 0, "each": each, "most": self._most}
