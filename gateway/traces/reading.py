"""The reader of a SQLite trace store; it may run beside any number of writers.

It writes nothing, but for bringing the file of an older version up to date.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from gateway.traces.keys import first_key, key_of, keys_from, trace_id_of
from gateway.traces.schema import connect_reader
from gateway.traces.selection import Selection
from gateway.traces.stats import Drafts, Feedback, Judged, RouteStats, Served, Unjudged, summarise
from gateway.traces.store import (
    AmbiguousTraceError,
    NoSuchTraceError,
    ServedTrace,
    TraceStoreError,
)
from router.trace import (
    Exchange,
    Judgement,
    Reason,
    ServedBy,
    UnreadableTraceError,
    decode_exchange,
    decode_judgement,
)

_CANDIDATES = 3
"""How many ids an ambiguous prefix is answered with."""

_RECENT = """
SELECT record FROM exchanges JOIN records USING (number)
WHERE trace >= :since
  AND (:route IS NULL OR route = :route)
  AND (:reason IS NULL OR reason = :reason)
  AND (:served_by IS NULL OR served_by = :served_by)
ORDER BY trace DESC LIMIT :limit
"""
_SELECTED = """
SELECT trace, record FROM exchanges JOIN records USING (number)
WHERE trace >= :since
  AND (:until IS NULL OR trace < :until)
  AND (:route IS NULL OR route = :route)
  AND (:reason IS NULL OR reason = :reason)
  AND (:served_by IS NULL OR served_by = :served_by)
ORDER BY trace
"""
_BETWEEN = """
SELECT trace, record FROM exchanges JOIN records USING (number)
WHERE trace BETWEEN ? AND ? ORDER BY trace LIMIT ?
"""
_JUDGEMENTS = "SELECT record FROM judgements WHERE trace = ? ORDER BY ts, rowid"
_SERVED = """
SELECT route, served_by, reason, outcome, confidence, total_s, cost_usd, saved_usd
FROM exchanges WHERE trace >= ?
"""
_JUDGED = """
SELECT route, served_by, judge, comparator, agreement, propensity
FROM judgements JOIN exchanges USING (trace)
WHERE exchanges.trace >= ? AND judge != 'feedback' AND agreement IS NOT NULL
"""
_UNJUDGED = """
SELECT route, comparator, count(*)
FROM judgements JOIN exchanges USING (trace)
WHERE exchanges.trace >= ? AND judge = 'shadow' AND agreement IS NULL
GROUP BY route, comparator ORDER BY route, comparator
"""
_FEEDBACK = """
SELECT route, served_by, count(*), count(agreement), avg(agreement)
FROM judgements JOIN exchanges USING (trace)
WHERE exchanges.trace >= ? AND judge = 'feedback'
GROUP BY route, served_by ORDER BY route, served_by
"""
_DRAFTED = """
SELECT route,
       sum(json_extract(CAST(record AS TEXT), '$.teacher.drafted.tokens')),
       sum(json_extract(CAST(record AS TEXT), '$.teacher.drafted.accepted'))
FROM exchanges JOIN records USING (number)
WHERE trace >= ? AND reason = 'speculative'
GROUP BY route
"""
"""Records are read, but only those of routes that speculate."""
_FIND = """
SELECT route, served_by, record FROM exchanges JOIN records USING (number) WHERE trace = ?
"""
_OF_ROUTE = """
SELECT trace, record FROM exchanges JOIN records USING (number)
WHERE trace >= :since AND route = :route ORDER BY trace
"""
_JUDGEMENTS_OF_ROUTE = """
SELECT trace, judgements.record FROM judgements JOIN exchanges USING (trace)
WHERE trace >= :since AND route = :route AND judge != 'feedback'
ORDER BY judgements.ts, judgements.rowid
"""


def find_trace(path: Path, trace_id: str) -> ServedTrace | None:
    """What is stored under exactly this id. Raises TraceStoreError."""
    with SqliteReader(path) as reader:
        return reader.find(trace_id)


class SqliteReader:
    """Owns a read-only connection; close it, or use it in a `with`."""

    def __init__(self, path: Path) -> None:
        self._connection = connect_reader(path)
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def recent(
        self,
        *,
        limit: int,
        since_s: float = 0.0,
        route: str | None = None,
        reason: Reason | None = None,
        served_by: ServedBy | None = None,
    ) -> list[Exchange]:
        wanted = {
            "limit": limit,
            "since": first_key(since_s),
            "route": route,
            "reason": reason,
            "served_by": served_by,
        }
        return [self._exchange(record) for (record,) in self._query(_RECENT, wanted)]

    def get(self, prefix: str) -> tuple[Exchange, list[Judgement]]:
        keys = keys_from(prefix) if prefix else None
        found = list(self._query(_BETWEEN, (*keys, _CANDIDATES))) if keys else []
        if not found:
            raise NoSuchTraceError(prefix)
        if len(found) > 1:
            raise AmbiguousTraceError(prefix, [trace_id_of(key) for key, _ in found])
        ((key, record),) = found
        rows = self._query(_JUDGEMENTS, (key,))
        return self._exchange(record), [self._judgement(each) for (each,) in rows]

    def of_route(
        self, route: str, *, since_s: float = 0.0
    ) -> Iterator[tuple[Exchange, list[Judgement]]]:
        """A route's traces, oldest first, each with its judgements but for feedback."""
        values = {"route": route, "since": first_key(since_s)}
        judged = defaultdict[bytes, list[Judgement]](list)
        for key, record in self._query(_JUDGEMENTS_OF_ROUTE, values):
            judged[key].append(self._judgement(record))
        for key, record in self._query(_OF_ROUTE, values):
            yield self._exchange(record), judged[key]

    def selected(self, wanted: Selection) -> Iterator[tuple[Exchange, list[Judgement]]]:
        """Traces, oldest first, each with all that was said of it, feedback too."""
        for key, record in self._query(_SELECTED, wanted.values()):
            judged = self._query(_JUDGEMENTS, (key,))
            yield self._exchange(record), [self._judgement(each) for (each,) in judged]

    def find(self, trace_id: str) -> ServedTrace | None:
        try:
            key = key_of(trace_id)
        except ValueError:
            return None
        for route, served_by, record in self._query(_FIND, (key,)):
            return ServedTrace(route, served_by, self._exchange(record).caller)
        return None

    def stats(self, *, since_s: float = 0.0) -> list[RouteStats]:
        served = map(Served._make, self._query(_SERVED, (first_key(since_s),)))
        judged = map(Judged._make, self._query(_JUDGED, (first_key(since_s),)))
        felt = self._query(_FEEDBACK, (first_key(since_s),))
        feedback = ((route, Feedback._make(columns)) for route, *columns in felt)
        unjudged = map(Unjudged._make, self._query(_UNJUDGED, (first_key(since_s),)))
        drafted = map(Drafts._make, self._query(_DRAFTED, (first_key(since_s),)))
        return summarise(served, judged, feedback, unjudged, drafted)

    def _query(
        self, sql: str, values: Mapping[str, object] | tuple[object, ...]
    ) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise TraceStoreError(f"store: {self._path} cannot be read: {error}") from error

    def _exchange(self, record: bytes) -> Exchange:
        try:
            return decode_exchange(record)
        except UnreadableTraceError as error:
            raise TraceStoreError(f"store: {self._path}: {error}") from error

    def _judgement(self, record: bytes) -> Judgement:
        try:
            return decode_judgement(record)
        except UnreadableTraceError as error:
            raise TraceStoreError(f"store: {self._path}: {error}") from error
