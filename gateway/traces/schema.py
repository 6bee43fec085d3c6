"""The tables in SQLite, and the check that a file holds ours.

A record is stored as its JSON; the columns beside it are what is filtered and summed. The index
by time holds them all, so that figures over a million requests are read without their texts.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from gateway.traces.store import TraceStoreError

VERSION = 1
"""`PRAGMA user_version` of the files this code writes and reads."""

_BUSY_S = 5.0
"""How long one of several writing processes waits for another's commit."""

_TABLES = f"""
CREATE TABLE exchanges (
    trace_id   TEXT PRIMARY KEY,
    ts         REAL NOT NULL,
    route      TEXT NOT NULL,
    served_by  TEXT,
    reason     TEXT,
    outcome    TEXT NOT NULL,
    confidence REAL,
    total_s    REAL NOT NULL,
    cost_usd   REAL,
    saved_usd  REAL,
    record     BLOB NOT NULL
);
CREATE INDEX exchanges_by_time ON exchanges
    (ts, route, served_by, reason, outcome, confidence, total_s, cost_usd, saved_usd);
CREATE TABLE judgements (
    trace_id   TEXT NOT NULL,
    ts         REAL NOT NULL,
    judge      TEXT NOT NULL,
    comparator TEXT NOT NULL,
    agreement  REAL NOT NULL,
    propensity REAL NOT NULL,
    record     BLOB NOT NULL
);
CREATE INDEX judgements_by_trace ON judgements (trace_id);
CREATE INDEX judgements_by_time ON judgements (ts);
PRAGMA user_version = {VERSION};
"""


def connect_writer(path: Path) -> sqlite3.Connection:
    """Opens the store, and makes it if there is none, readable by its owner only.

    The connection may be handed to another thread. Raises TraceStoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise TraceStoreError(f"store: {path} cannot be opened: {error}") from error
    with _closed_on_error(connection, path):
        _prepare(connection, path)
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Opens an existing store for reading. Raises TraceStoreError."""
    if not path.exists():
        raise TraceStoreError(
            f"store: there is no trace store at {path}; it is made when a gateway starts "
            "(`tutelage up`), or name another with --store sqlite:///path or --config FILE"
        )
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None
        )
    except sqlite3.Error as error:
        raise TraceStoreError(f"store: {path} cannot be opened: {error}") from error
    with _closed_on_error(connection, path):
        if not _is_current(connection, path):
            raise TraceStoreError(f"store: {path} holds no traces; is it the right file?")
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        connection.close()
        raise TraceStoreError(f"store: {path} cannot be used: {error}") from error
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _is_current(connection, path)  # before the first change: the file may be another program's
    _switch_to_wal(connection)
    # A commit survives the death of the process; a power cut may take the last few.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")  # of several workers that start at once one makes it
    with connection:
        if not _is_current(connection, path):
            for statement in _TABLES.split(";"):
                connection.execute(statement)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for others here, as it does elsewhere, so we do."""
    until_s = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.01)
        else:
            return


def _is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether our tables are there; False for an empty file. Raises for anything else."""
    with _one_snapshot(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version > VERSION:
        raise TraceStoreError(
            f"store: {path} has schema {version}, newer than {VERSION}, the newest that this "
            "version reads: upgrade tutelage, or name another file"
        )
    if version < VERSION and tables:
        raise TraceStoreError(f"store: {path} is another program's database; name another file")
    return bool(version == VERSION)


@contextmanager
def _one_snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Reads see one state of the file, though another process may be making it right now."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    with connection:
        yield
