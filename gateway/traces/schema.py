"""The tables in SQLite, and the check that a file holds ours.

A record is stored as its JSON, in a table of its own; the columns that are filtered and summed
stand beside it, ordered by trace id and so by time: figures over a million requests are read
without their texts, and both tables grow at their end.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from gateway.traces.migration import migrate
from gateway.traces.store import TraceStoreError

log = logging.getLogger(__name__)

VERSION = 2
"""`PRAGMA user_version` of the files this code writes; `migration` makes it of older ones."""

_BUSY_S = 5.0
"""How long one of several writing processes waits for another's commit."""

_PAGE_BYTES = 16_384
"""Of new files. Four times SQLite's own: a record of some KB costs a third less CPU to write, and a
commit of few records writes 32 KB instead of 12.
"""

TABLES = f"""
CREATE TABLE exchanges (
    trace      BLOB PRIMARY KEY,
    route      TEXT NOT NULL,
    served_by  TEXT,
    reason     TEXT,
    outcome    TEXT NOT NULL,
    confidence REAL,
    total_s    REAL NOT NULL,
    cost_usd   REAL,
    saved_usd  REAL,
    number     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE records (
    number     INTEGER PRIMARY KEY,
    record     BLOB NOT NULL
);
CREATE TABLE judgements (
    trace      BLOB NOT NULL,
    ts         REAL NOT NULL,
    judge      TEXT NOT NULL,
    comparator TEXT NOT NULL,
    agreement  REAL,
    propensity REAL NOT NULL,
    record     BLOB NOT NULL
);
CREATE INDEX judgements_by_trace ON judgements (trace);
PRAGMA user_version = {VERSION}
"""
"""`trace` is `keys.key_of` the trace id."""


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
    """Opens an existing store for reading, after an older version's was brought up to date.

    Raises TraceStoreError.
    """
    if not path.exists():
        raise TraceStoreError(
            f"store: there is no trace store at {path}; it is made when a gateway starts "
            "(`tutelage up`), or name another with --store sqlite:///path or --config FILE"
        )
    connection = _read_only(path)
    with _closed_on_error(connection, path):
        version = _version(connection, path)
        if not version:
            raise TraceStoreError(f"store: {path} holds no traces; is it the right file?")
    if version < VERSION:
        connection.close()
        connect_writer(path).close()
        connection = _read_only(path)
    return connection


def _read_only(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None
        )
    except sqlite3.Error as error:
        raise TraceStoreError(f"store: {path} cannot be opened: {error}") from error


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
    _version(connection, path)  # before the first change: the file may be another program's
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a file that is still empty
    _switch_to_wal(connection)
    # A commit survives the death of the process; a power cut may take the last few.
    connection.execute("PRAGMA synchronous = NORMAL")
    if _version(connection, path) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")  # of several workers that start at once one makes it
    with connection:
        version = _version(connection, path)
        if version == 0:
            for statement in TABLES.split(";"):
                connection.execute(statement)
        elif version < VERSION:
            log.warning("store: %s is brought from schema %d to %d", path, version, VERSION)
            migrate(connection, TABLES)


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


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Of our tables; 0 for an empty file. Raises TraceStoreError for anything else."""
    with _one_snapshot(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version > VERSION:
        raise TraceStoreError(
            f"store: {path} has schema {version}, newer than {VERSION}, the newest that this "
            "version reads: upgrade tutelage, or name another file"
        )
    if version == 0 and tables:
        raise TraceStoreError(f"store: {path} is another program's database; name another file")
    return int(version)


@contextmanager
def _one_snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Reads see one state of the file, though another process may be making it right now."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    with connection:
        yield
