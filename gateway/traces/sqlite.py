"""The writer: requests put records into a queue, one thread stores them in batches.

A record waits at most `_LINGER_S` for others to share its commit, so a kill -9 loses what was put
in the last 200 ms and no more. While the store fails (disk full, file locked) the batch is kept and
tried again and the queue fills; what finds it full is dropped and counted.
"""

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice

from gateway.clock import Clock
from gateway.traces.scrub import Content, scrub
from gateway.traces.store import Fate
from router.trace import Exchange, Judgement, encode

log = logging.getLogger(__name__)

_LINGER_S = 0.1
_RETRY_S = 1.0
_BATCH = 512
_PURGE_EVERY_S = 3600.0
_PURGE_CHUNK = 500
_DAY_S = 86_400.0

_PUT_EXCHANGE = """
INSERT INTO exchanges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trace_id) DO NOTHING
"""
_PUT_JUDGEMENT = "INSERT INTO judgements VALUES (?, ?, ?, ?, ?, ?, ?)"

_ITS_OWN_FAULT = (
    ValueError,
    TypeError,
    OverflowError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What one record does (half a surrogate pair, a NaN for a time) that the next one need not."""

Record = Exchange | Judgement


class SqliteWriter:
    """Owns the connection and the thread; `aclose` ends both."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        content: Content,
        retention_days: float,
        clock: Clock,
        on_outcome: Callable[[str, int], None],
        capacity: int = 8192,
    ) -> None:
        self._connection = connection
        self._content = content
        self._retention_s = retention_days * _DAY_S
        self._clock = clock
        self._on_outcome = on_outcome
        self._capacity = capacity
        self._queue: deque[Record] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._purge_at_s = clock.unix_s()
        # A daemon: a crash elsewhere must not leave a process that will not end.
        self._thread = threading.Thread(target=self._run, name="trace-writer", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        with self._changed:
            if self._closing:
                fate = Fate.CLOSED
            elif len(self._queue) >= self._capacity:
                fate = Fate.QUEUE_FULL
            else:
                self._queue.append(record)
                if len(self._queue) in {1, _BATCH}:
                    self._changed.notify()
                return
        self._tell(record, fate)

    async def aclose(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _tell(self, record: Record, fate: Fate) -> None:
        kind = "judgement_" if isinstance(record, Judgement) else ""
        self._on_outcome(f"{kind}{fate}", 1)

    # The rest runs in the writer's thread.

    def _run(self) -> None:
        try:
            while not self._is_done():
                self._purge_if_due()
                if batch := self._next_batch():
                    self._store(batch)
        finally:
            self._connection.close()

    def _is_done(self) -> bool:
        with self._changed:
            return self._closing and not self._queue

    def _next_batch(self) -> list[Record]:
        """The head of the queue; nothing when it is time to purge, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing, timeout=self._idle_s())
            if self._queue:
                self._changed.wait_for(
                    lambda: len(self._queue) >= _BATCH or self._closing, timeout=_LINGER_S
                )
            return list(islice(self._queue, _BATCH))

    def _store(self, batch: list[Record]) -> None:
        """One transaction. Records leave the queue when their fate is known, so that its bound is
        the bound of everything that is not stored yet.
        """
        try:
            fates = self._commit(batch)
        except sqlite3.OperationalError as error:  # the disk's or a lock's: the next try may do
            with self._changed:
                if not self._closing:
                    log.warning("traces cannot be stored now, trying again: %s", error)
                    self._changed.wait_for(lambda: self._closing, timeout=_RETRY_S)
                    return
                batch = list(self._queue)
            log.exception("%d traces are dropped at the shutdown", len(batch))
            fates = [Fate.STORE_FAILED] * len(batch)
        except Exception:
            log.exception("%d traces are dropped", len(batch))
            fates = [Fate.STORE_FAILED] * len(batch)
        with self._changed:
            for _ in batch:
                self._queue.popleft()
        for record, fate in zip(batch, fates, strict=True):
            self._tell(record, fate)

    def _commit(self, batch: list[Record]) -> list[Fate]:
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            return [self._insert(record) for record in batch]

    def _insert(self, record: Record) -> Fate:
        try:
            kept = scrub(record, self._content)
            if isinstance(kept, Judgement):
                self._connection.execute(_PUT_JUDGEMENT, _judgement_row(kept))
                return Fate.STORED
            rows = self._connection.execute(_PUT_EXCHANGE, _exchange_row(kept)).rowcount
        except _ITS_OWN_FAULT as error:
            log.warning("trace %s cannot be stored: %s", record.trace_id, error)
            return Fate.UNWRITABLE
        return Fate.STORED if rows else Fate.DUPLICATE

    def _idle_s(self) -> float:
        """How long to wait for records before the next purge, or the rest of this one."""
        return min(_PURGE_EVERY_S, max(0.0, self._purge_at_s - self._clock.unix_s()))

    def _purge_if_due(self) -> None:
        """A chunk between two batches, so that new records wait no longer than that."""
        now_s = self._clock.unix_s()
        if now_s < self._purge_at_s:
            return
        try:
            is_rest = _purge(self._connection, before_ts=now_s - self._retention_s)
        except sqlite3.Error as error:
            log.warning("old traces are not purged, trying again in an hour: %s", error)
            is_rest = False
        if not is_rest:
            self._purge_at_s = now_s + _PURGE_EVERY_S


def _purge(connection: sqlite3.Connection, *, before_ts: float) -> bool:
    """Deletes some of what is older; True if there may be more."""
    is_rest = False
    for table in ("exchanges", "judgements"):
        old = f"SELECT rowid FROM {table} WHERE ts < ? LIMIT {_PURGE_CHUNK}"  # noqa: S608 - ours
        delete = f"DELETE FROM {table} WHERE rowid IN ({old})"  # noqa: S608 - ours
        is_rest |= connection.execute(delete, (before_ts,)).rowcount == _PURGE_CHUNK
    return is_rest


def _exchange_row(exchange: Exchange) -> tuple[str | float | bytes | None, ...]:
    return (
        exchange.trace_id,
        exchange.ts,
        exchange.route,
        exchange.served_by,
        exchange.reason,
        exchange.outcome,
        exchange.confidence,
        exchange.total_s,
        exchange.cost_usd,
        exchange.saved_usd,
        encode(exchange),
    )


def _judgement_row(judgement: Judgement) -> tuple[str | float | bytes, ...]:
    return (
        judgement.trace_id,
        judgement.ts,
        judgement.by,
        judgement.comparator,
        judgement.agreement,
        judgement.propensity,
        encode(judgement),
    )
