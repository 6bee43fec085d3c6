import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.traces.schema import VERSION, connect_reader, connect_writer
from gateway.traces.store import TraceStoreError


def test_a_store_is_made_with_its_folder_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "of 100%25, why?" / "traces.db"
    connect_writer(path).close()
    connect_reader(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_workers_that_start_at_once_make_one_store(path: Path) -> None:
    ready = threading.Barrier(8)
    failures: list[Exception] = []

    def start() -> None:
        ready.wait()
        try:
            connect_writer(path).close()
        except TraceStoreError as error:
            failures.append(error)

    workers = [threading.Thread(target=start) for _ in range(8)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    assert failures == []


def test_a_newer_schema_is_refused_by_both_sides(path: Path) -> None:
    connect_writer(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")

    for connect in (connect_writer, connect_reader):
        with pytest.raises(
            TraceStoreError, match=rf"schema {VERSION + 1}, newer than {VERSION}.*upgrade"
        ):
            connect(path)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()

    for connect in (connect_writer, connect_reader):
        with pytest.raises(TraceStoreError, match="another program's database"):
            connect(path)
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 100)

    for connect in (connect_writer, connect_reader):
        with pytest.raises(
            TraceStoreError, match=f"{path.name} cannot be .*: file is not a database"
        ):
            connect(path)


def test_an_empty_file_holds_no_traces_to_read(path: Path) -> None:
    path.touch()

    with pytest.raises(TraceStoreError, match="holds no traces"):
        connect_reader(path)


def test_a_store_that_is_not_there_says_how_it_comes_to_be(path: Path) -> None:
    with pytest.raises(TraceStoreError, match=r"no trace store at .*tutelage up.*--store"):
        connect_reader(path)
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(TraceStoreError, match=r"store: .*file/traces\.db cannot be opened"):
        connect_writer(tmp_path / "file" / "traces.db")


def test_a_reader_cannot_write(path: Path) -> None:
    connect_writer(path).close()

    with (
        closing(connect_reader(path)) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("DELETE FROM exchanges")
