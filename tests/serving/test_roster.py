import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

from rich.console import Console

from serving.engines_table import engines_table
from serving.roster import EngineRow, Roster, RosterFile, resident_bytes

RATES = {"http://127.0.0.1:8101": 12.34}
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def an_up(pid: int) -> RosterFile:
    row = EngineRow(
        name="student",
        state="ready",
        pid=os.getpgrp(),
        host="127.0.0.1",
        port=8101,
        model="behind http://127.0.0.1:8080",
        log=Path("/logs/engine-student.log"),
        since=NOW - timedelta(hours=1, minutes=2, seconds=3),
    )
    return RosterFile(
        up_pid=pid, gateway_url="http://127.0.0.1:8080", gateway_pid=None, engines=(row,)
    )


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_what_was_written_is_read(tmp_path: Path) -> None:
    roster = Roster(tmp_path / "run")
    roster.write(an_up(os.getpid()))
    assert list(roster.read()) == [an_up(os.getpid())]
    roster.forget(os.getpid())
    assert list(roster.read()) == []


def test_the_file_of_a_killed_up_is_not_believed_and_removed(tmp_path: Path) -> None:
    roster = Roster(tmp_path)
    roster.write(an_up(ended_pid()))
    assert list(roster.read()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_version_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text('{"engines": "?"}')
    assert list(Roster(tmp_path).read()) == []


def test_nothing_ever_ran(tmp_path: Path) -> None:
    assert list(Roster(tmp_path / "run").read()) == []


def test_memory_of_a_process_group_is_measured_and_of_none_is_unknown() -> None:
    mine = resident_bytes(os.getpgrp())
    assert mine is not None
    assert mine > 5_000_000
    assert resident_bytes(ended_pid()) is None


def test_the_table_says_all_of_an_engine() -> None:
    out = StringIO()
    Console(width=200, file=out).print(engines_table(an_up(1), now=NOW, rates=RATES))
    text = out.getvalue()
    for shown in (
        "student",
        "ready",
        str(os.getpgrp()),
        "8101",
        "12.3",
        " MB",
        "1 h 2 min",
        "behind http://127.0.0.1:8080",
    ):
        assert shown in text
    assert "/logs/engine-student.log" in text
