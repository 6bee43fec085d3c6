"""A store that an older version wrote is read by this one, and nothing in it is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.traces.reading import SqliteReader
from gateway.traces.schema import VERSION, connect_reader, connect_writer
from gateway.traces.store import TraceStoreError
from router.trace import encode
from tests.gateway.traces.conftest import Fill
from tests.gateway.traces.records import exchange, judgement, trace_id

SCHEMA_1 = """
CREATE TABLE exchanges (
    trace_id TEXT PRIMARY KEY, ts REAL NOT NULL, route TEXT NOT NULL, served_by TEXT, reason TEXT,
    outcome TEXT NOT NULL, confidence REAL, total_s REAL NOT NULL, cost_usd REAL, saved_usd REAL,
    record BLOB NOT NULL
);
CREATE INDEX exchanges_by_time ON exchanges
    (ts, route, served_by, reason, outcome, confidence, total_s, cost_usd, saved_usd);
CREATE TABLE judgements (
    trace_id TEXT NOT NULL, ts REAL NOT NULL, judge TEXT NOT NULL, comparator TEXT NOT NULL,
    agreement REAL NOT NULL, propensity REAL NOT NULL, record BLOB NOT NULL
);
CREATE INDEX judgements_by_trace ON judgements (trace_id);
CREATE INDEX judgements_by_time ON judgements (ts);
PRAGMA user_version = 1;
"""
EXCHANGES = [exchange(number, route=f"route {number % 3}") for number in range(300)]
JUDGEMENTS = [judgement(number, agreement=number % 2) for number in range(0, 300, 10)]


@pytest.fixture
def old(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA_1)
        connection.execute("PRAGMA journal_mode = WAL")
        for each in EXCHANGES:
            values = (
                *(each.trace_id, each.ts, each.route, each.served_by, each.reason, each.outcome),
                *(each.confidence, each.total_s, each.cost_usd, each.saved_usd, encode(each)),
            )
            connection.execute(f"INSERT INTO exchanges VALUES ({','.join('?' * 11)})", values)
        for one in JUDGEMENTS:
            columns = (one.trace_id, one.ts, one.by, one.comparator, one.agreement, one.propensity)
            connection.execute(
                f"INSERT INTO judgements VALUES ({','.join('?' * 7)})", (*columns, encode(one))
            )
    return path


def test_a_reader_finds_all_of_it(old: Path) -> None:
    with SqliteReader(old) as reader:
        assert [encode(each) for each in reader.recent(limit=1000)] == [
            encode(each) for each in reversed(EXCHANGES)
        ]
        found, judged = reader.get(trace_id(10))
        assert (encode(found), judged) == (encode(EXCHANGES[10]), [JUDGEMENTS[1]])
        stats = {each.route: each for each in reader.stats()}
        assert {name: each.requests for name, each in stats.items()} == {
            f"route {n}": 100 for n in range(3)
        }
        assert sum(share.share.judged for each in stats.values() for share in each.agreements) == 30


def test_a_writer_adds_to_it(old: Path, fill: Fill) -> None:
    fill(exchange(300), exchange(7), judgement(300))

    with SqliteReader(old) as reader:
        assert len(reader.recent(limit=1000)) == 301
        assert reader.get(trace_id(300))[1] == [judgement(300)]
        assert reader.get(trace_id(299))[0].trace_id == trace_id(299)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_it_is_brought_up_to_date_once(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    for connect in (connect_writer, connect_reader, connect_writer):
        connect(old).close()

    assert caplog.text.count(f"brought from schema 1 to {VERSION}") == 1


def test_what_cannot_be_brought_up_to_date_stays_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE exchanges SET trace_id = 'no id' WHERE rowid = 150")

    for connect in (connect_writer, connect_reader):
        with pytest.raises(TraceStoreError, match=r"traces\.db cannot be used"):
            connect(old)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM exchanges").fetchone() == (300,)
        assert connection.execute("SELECT count(*) FROM judgements").fetchone() == (30,)
