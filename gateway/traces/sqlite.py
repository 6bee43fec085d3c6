"""The writer: requests put records into a queue, one thread stores them in batches.

The thread looks into the queue every `_LINGER_S`, which costs less than being woken for each
record, so a kill -9 loses what was put in the last 200 ms and no more. While the store fails (disk
full, file locked) the batch is kept and tried again and the queue fills; what finds it full, in
records or in bytes, is dropped and counted.
"""

import asyncio
import logging
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic

from msgspec import Raw

from gateway.clock import Clock
from gateway.traces.keys import first_key
from gateway.traces.rows import insert_exchanges, insert_judgements
from gateway.traces.scrub import Content, Kind
from gateway.traces.store import Fate
from router.trace import Exchange, Judgement

log = logging.getLogger(__name__)

_LINGER_S = 0.1
_RETRY_S = 1.0
_BATCH = 2048
_CAPACITY_BYTES = 64 * 2**20
_PURGE_EVERY_S = 3600.0
_PURGE_CHUNK = 500
_DAY_S = 86_400.0


@dataclass(slots=True)
class _Lane(Generic[Kind]):
    """The records of one kind that wait. Fates are told under `prefix`.

    came_bytes, left_bytes: of all that ever waited, each counted by one thread.
    """

    prefix: str
    insert: Callable[[sqlite3.Connection, Sequence[Kind], Content], Counter[Fate]]
    queue: deque[Kind] = field(default_factory=deque)
    came_bytes: int = 0
    left_bytes: int = 0

    def head(self, most: int | None = _BATCH) -> "_Batch[Kind]":
        # One call into C: nothing is put meanwhile.
        return _Batch(self, list(islice(self.queue, most)))


@dataclass(slots=True)
class _Batch(Generic[Kind]):
    lane: _Lane[Kind]
    records: list[Kind]

    def store(self, connection: sqlite3.Connection, content: Content) -> Counter[Fate]:
        return self.lane.insert(connection, self.records, content)

    def all(self, fate: Fate) -> Counter[Fate]:
        return Counter([fate] * len(self.records))


_Batches = list[_Batch[Exchange] | _Batch[Judgement]]


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
        capacity_bytes: int = _CAPACITY_BYTES,
    ) -> None:
        """capacity: records of a kind that wait at most; capacity_bytes: of their texts, past
        which none is taken in.
        """
        self._connection = connection
        self._content = content
        self._retention_s = retention_days * _DAY_S
        self._clock = clock
        self._on_outcome = on_outcome
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._exchanges = _Lane("", insert_exchanges)
        self._judgements = _Lane("judgement_", insert_judgements)
        self._closing = threading.Event()
        self._is_closing = False
        """The same, at the price of a look."""
        self._ended = False
        self._purge_at_s = clock.unix_s()
        # A daemon: a crash elsewhere must not leave a process that will not end.
        self._thread = threading.Thread(target=self._run, name="trace-writer", daemon=True)
        self._thread.start()

    def put(self, record: Exchange | Judgement) -> None:
        """Takes no lock: a `deque` needs none, and the thread that empties it is not waited for."""
        lane = self._exchanges if isinstance(record, Exchange) else self._judgements
        if self._is_closing:
            self._tell(lane.prefix, Fate.CLOSED)
        elif (
            len(lane.queue) >= self._capacity
            or lane.came_bytes - lane.left_bytes > self._capacity_bytes
        ):
            self._tell(lane.prefix, Fate.QUEUE_FULL)
        else:
            lane.came_bytes += _text_size(record)
            lane.queue.append(record)  # type: ignore[arg-type]  # the lane of its kind
            if self._ended:  # while we were here
                self._refuse()

    async def aclose(self) -> None:
        self._is_closing = True
        self._closing.set()
        await asyncio.to_thread(self._thread.join)

    def _tell(self, prefix: str, fate: Fate, count: int = 1) -> None:
        self._on_outcome(f"{prefix}{fate}", count)

    def _refuse(self) -> None:
        """What nobody will store any more. Each record is popped, and counted, by one thread."""
        for lane in (self._exchanges, self._judgements):
            with suppress(IndexError):
                while True:
                    lane.queue.popleft()
                    self._tell(lane.prefix, Fate.CLOSED)

    # The rest runs in the writer's thread.

    def _run(self) -> None:
        try:
            while True:
                is_closing = self._closing.is_set()  # what was put before that is seen below
                self._purge_if_due()
                if self._store():
                    continue
                if is_closing:
                    return
                self._closing.wait(_LINGER_S)
        finally:
            self._ended = True
            self._refuse()
            self._connection.close()

    def _store(self) -> bool:
        """One transaction; True if there is more to store at once. Rows leave the queue when their
        fate is known, so that its bound is the bound of everything that is not stored yet.
        """
        batches: _Batches = [self._exchanges.head(), self._judgements.head()]
        if not any(batch.records for batch in batches):
            return False
        try:
            fates = self._commit(batches)
        except sqlite3.OperationalError as error:  # the disk's or a lock's: the next try may do
            if not self._closing.is_set():
                log.warning("traces cannot be stored now, trying again: %s", error)
                self._closing.wait(_RETRY_S)
                return True
            batches = [self._exchanges.head(None), self._judgements.head(None)]
            log.exception("%d traces are dropped at the shutdown", _size(batches))
            fates = [batch.all(Fate.STORE_FAILED) for batch in batches]
        except Exception:
            log.exception("%d traces are dropped", _size(batches))
            fates = [batch.all(Fate.STORE_FAILED) for batch in batches]
        for batch, counts in zip(batches, fates, strict=True):
            for record in batch.records:
                batch.lane.left_bytes += _text_size(record)
                batch.lane.queue.popleft()
            for fate, count in counts.items():
                self._tell(batch.lane.prefix, fate, count)
        return any(len(batch.records) == _BATCH for batch in batches)

    def _commit(self, batches: _Batches) -> list[Counter[Fate]]:
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            return [batch.store(self._connection, self._content) for batch in batches]

    def _purge_if_due(self) -> None:
        """A chunk between two batches, so that new records wait no longer than that."""
        now_s = self._clock.unix_s()
        if now_s < self._purge_at_s:
            return
        try:
            is_rest = _purge(self._connection, before=first_key(now_s - self._retention_s))
        except sqlite3.Error as error:
            log.warning("old traces are not purged, trying again in an hour: %s", error)
            is_rest = False
        if not is_rest:
            self._purge_at_s = now_s + _PURGE_EVERY_S


def _text_size(record: Exchange | Judgement) -> int:
    """Most of what it takes in memory, in bytes (a character counts as one)."""
    if isinstance(record, Judgement):
        return len(record.detail)
    size = len(record.request) if isinstance(record.request, Raw) else 0
    for answer in (record.student, record.teacher):
        if answer is not None and answer.text is not None:
            size += len(answer.text)
    return size


def _size(batches: _Batches) -> int:
    return sum(len(batch.records) for batch in batches)


_PURGE_RECORDS = """
DELETE FROM records WHERE number IN
    (SELECT number FROM exchanges WHERE trace < :before ORDER BY trace LIMIT :chunk)
"""
_PURGE_EXCHANGES = """
DELETE FROM exchanges WHERE trace IN
    (SELECT trace FROM exchanges WHERE trace < :before ORDER BY trace LIMIT :chunk)
"""
_PURGE_JUDGEMENTS = """
DELETE FROM judgements WHERE rowid IN
    (SELECT rowid FROM judgements WHERE trace < :before LIMIT :chunk)
"""


def _purge(connection: sqlite3.Connection, *, before: bytes) -> bool:
    """Deletes some of what is older; True if there may be more. A judgement goes with its trace."""
    values = {"before": before, "chunk": _PURGE_CHUNK}
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        purges = (_PURGE_RECORDS, _PURGE_EXCHANGES, _PURGE_JUDGEMENTS)
        counts = [connection.execute(purge, values).rowcount for purge in purges]
    return _PURGE_CHUNK in counts
