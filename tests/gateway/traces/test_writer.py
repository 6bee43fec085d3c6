"""The promise: put = stored + dropped and counted, always."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from gateway.traces.reading import SqliteReader
from gateway.traces.schema import connect_writer
from gateway.traces.scrub import Content
from router.trace import encode
from tests.gateway.traces.conftest import Open
from tests.gateway.traces.records import NOON_S, SetClock, Tally, exchange, judgement, trace_id

DAY_S = 86_400.0


def stored(path: Path) -> list[str]:
    with SqliteReader(path) as reader:
        return sorted(each.trace_id for each in reader.recent(limit=100_000))


def impatient(path: Path) -> sqlite3.Connection:
    """A connection that fails at once where another holds the lock."""
    connection = connect_writer(path)
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


async def test_closing_stores_everything_that_was_put(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally)
    for number in range(1200):
        writer.put(exchange(number))
    writer.put(judgement(3))
    await writer.aclose()

    assert tally.counts == {"stored": 1200, "judgement_stored": 1}
    assert len(stored(path)) == 1200


async def test_records_are_stored_while_the_writer_is_open(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally)
    writer.put(exchange(1))
    tally.wait("stored", 1)

    assert stored(path) == [trace_id(1)]


async def test_put_after_close_is_dropped_and_counted(open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally)
    await writer.aclose()
    writer.put(exchange())
    writer.put(judgement())

    assert tally.counts == {"dropped:closed": 1, "judgement_dropped:closed": 1}


async def test_closing_twice_is_closing_once(open_writer: Open) -> None:
    writer = open_writer(Tally())
    await writer.aclose()
    await writer.aclose()


async def test_closing_under_load_accounts_for_every_record(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally, capacity=64)
    started = threading.Barrier(5)

    def press(first: int) -> None:
        started.wait()
        for number in range(first, first + 500):
            writer.put(exchange(number))

    presses = [threading.Thread(target=press, args=(n * 500,)) for n in range(4)]
    for each in presses:
        each.start()
    started.wait()
    tally.wait("stored", 1)
    await writer.aclose()
    for each in presses:
        each.join()

    assert tally.total() == 2000
    assert set(tally.counts) <= {"stored", "dropped:queue_full", "dropped:closed"}
    assert len(stored(path)) == tally.counts["stored"]


async def test_a_full_queue_drops_what_comes_and_never_waits(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally, capacity=10, connection=impatient(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")
        for number in range(25):
            writer.put(exchange(number))
        assert tally.counts == {"dropped:queue_full": 15}
        hog.execute("ROLLBACK")
    await writer.aclose()

    assert tally.counts == {"dropped:queue_full": 15, "stored": 10}
    assert stored(path) == [trace_id(number) for number in range(10)]


async def test_a_queue_is_full_of_few_long_records_too_and_takes_more_once_they_are_stored(
    path: Path, open_writer: Open
) -> None:
    tally = Tally()
    writer = open_writer(tally, capacity_bytes=25_000, connection=impatient(path))
    long = Raw(b'{"prompt":"%b"}' % (b"word " * 2_000))
    with closing(sqlite3.connect(path, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")
        for number in range(5):
            writer.put(exchange(number, request=long))
        assert tally.counts == {"dropped:queue_full": 2}
        hog.execute("ROLLBACK")
    tally.wait("stored", 3)
    for number in range(5, 7):
        writer.put(exchange(number, request=long))
    await writer.aclose()

    assert tally.counts == {"dropped:queue_full": 2, "stored": 5}


async def test_what_a_locked_store_refused_is_stored_when_it_opens_again(
    path: Path, open_writer: Open, listen: Callable[[str], threading.Event]
) -> None:
    tally = Tally()
    heard = listen("traces cannot be stored now, trying again: database is locked")
    writer = open_writer(tally, connection=impatient(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")
        writer.put(exchange())
        assert heard.wait(timeout=30)
        assert tally.counts == {}
        hog.execute("ROLLBACK")
    await writer.aclose()

    assert tally.counts == {"stored": 1}


async def test_a_full_disk_at_the_shutdown_is_counted_not_hidden(
    path: Path, open_writer: Open, caplog: pytest.LogCaptureFixture
) -> None:
    connection = connect_writer(path)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 8}")
    tally = Tally()
    writer = open_writer(tally, connection=connection)
    for number in range(1000):
        writer.put(exchange(number))
    await writer.aclose()

    assert tally.counts == {"dropped:store_failed": 1000}
    assert "database or disk is full" in caplog.text
    assert caplog.text.count("dropped at the shutdown") == 1  # one last try, not one a batch
    assert stored(path) == []


async def test_one_record_that_cannot_be_written_does_not_take_others_with_it(
    path: Path, open_writer: Open
) -> None:
    tally = Tally()
    writer = open_writer(tally)
    writer.put(exchange(1))
    writer.put(exchange(2, caller="\ud83d"))  # half a surrogate pair: no encoder takes it
    writer.put(exchange(3, total_s=float("nan")))
    writer.put(judgement(1, detail="\ud83d"))
    writer.put(exchange(4))
    await writer.aclose()

    assert tally.counts == {
        "stored": 2,
        "dropped:unwritable": 2,
        "judgement_dropped:unwritable": 1,
    }
    assert stored(path) == [trace_id(1), trace_id(4)]


async def test_what_cannot_be_written_is_found_among_many(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally)
    bad: dict[int, Any] = {70: {"total_s": float("nan")}, 150: {"caller": "\ud83d"}}
    for number in (*range(200), 5, 190):
        writer.put(exchange(number, **bad.get(number, {})))
    for number in range(100):
        writer.put(judgement(number, ts=float("nan") if number == 20 else NOON_S))
    await writer.aclose()

    assert tally.counts == {
        "stored": 198,
        "dropped:unwritable": 2,
        "dropped:duplicate": 2,
        "judgement_stored": 99,
        "judgement_dropped:unwritable": 1,
    }
    assert stored(path) == [trace_id(n) for n in range(200) if n not in bad]
    with SqliteReader(path) as reader:  # each one with its own record
        for number in (0, 69, 71, 199):
            assert reader.get(trace_id(number))[0].trace_id == trace_id(number)


async def test_a_trace_id_that_is_none_is_not_stored(open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally)
    writer.put(exchange(1, trace_id="chatcmpl-1"))
    writer.put(judgement(1, trace_id="01a20363"))
    await writer.aclose()

    assert tally.counts == {"dropped:unwritable": 1, "judgement_dropped:unwritable": 1}


async def test_a_trace_is_stored_once(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally)
    writer.put(exchange(1, route="first"))
    writer.put(exchange(1, route="second"))
    await writer.aclose()

    assert tally.counts == {"stored": 1, "dropped:duplicate": 1}
    with SqliteReader(path) as reader:
        assert [each.route for each in reader.recent(limit=9)] == ["first"]


async def test_several_workers_share_one_store(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writers = [open_writer(tally) for _ in range(3)]
    for number in range(600):
        writers[number % 3].put(exchange(number))
    await asyncio.gather(*(writer.aclose() for writer in writers))

    assert tally.counts == {"stored": 600}
    assert len(stored(path)) == 600


async def test_without_content_no_word_reaches_the_disk(path: Path, open_writer: Open) -> None:
    writer = open_writer(Tally(), content=Content.NONE)
    writer.put(exchange(1))
    writer.put(judgement(1))
    await writer.aclose()

    assert b"awful" in encode(exchange(1))
    assert b"negative|neutral" in encode(judgement(1))
    for file in path.parent.iterdir():
        assert b"awful" not in file.read_bytes()
        assert b"negative" not in file.read_bytes()


async def test_what_is_older_than_the_retention_goes_when_a_writer_starts(
    path: Path, open_writer: Open
) -> None:
    old = NOON_S - 31 * DAY_S
    writer = open_writer(Tally(), retention_days=365.0)
    for number in range(700):  # more than one chunk
        writer.put(exchange(number, ts=old))
    writer.put(judgement(1, trace_id=trace_id(1, old)))  # goes with its trace, though it is young
    await writer.aclose()

    tally = Tally()
    after = open_writer(tally, retention_days=30.0)
    for number in range(1, 4):  # a chunk goes between two batches
        after.put(exchange(number))
        tally.wait("stored", number)
    assert stored(path) == [trace_id(1), trace_id(2), trace_id(3)]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM judgements").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (3,)


async def test_what_grows_too_old_goes_within_the_hour(path: Path, open_writer: Open) -> None:
    clock, tally = SetClock(), Tally()
    writer = open_writer(tally, clock=clock)
    writer.put(exchange(1))
    tally.wait("stored", 1)
    clock.now_s += 31 * DAY_S
    for number in (2, 3):  # the purge comes between two batches
        writer.put(exchange(number, ts=clock.now_s))
        tally.wait("stored", number)

    assert stored(path) == [trace_id(2, clock.now_s), trace_id(3, clock.now_s)]


_DIES = """
import os, signal, sys
from pathlib import Path
from gateway.traces.schema import connect_writer
from gateway.traces.scrub import Content
from gateway.traces.sqlite import SqliteWriter
from tests.gateway.traces.records import SetClock, Tally, exchange

tally = Tally()
writer = SqliteWriter(
    connect_writer(Path(sys.argv[1])),
    content=Content.FULL, retention_days=30.0, clock=SetClock(), on_outcome=tally,
)
for number in range(700):
    writer.put(exchange(number))
tally.wait("stored", 700)
for number in range(700, 800):
    writer.put(exchange(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing_that_was_called_stored(path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", _DIES, str(path)], check=False, timeout=60)

    assert died.returncode == -9
    kept = stored(path)
    assert kept[:700] == [trace_id(number) for number in range(700)]
    assert len(kept) <= 800
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
