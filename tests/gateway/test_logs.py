"""The gateway's log as JSON lines."""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import pytest

from gateway.logs import JsonLines, of_trace


def line_of(**more: object) -> dict[str, object]:
    record = logging.LogRecord("gateway.x", logging.WARNING, "x.py", 1, "it %s", ("broke",), None)
    record.created = 1_800_000_000.25
    record.__dict__.update(more)
    found: dict[str, object] = json.loads(JsonLines().format(record))
    return found


def test_a_line_is_an_object_with_its_time_in_utc() -> None:
    assert line_of() == {
        "ts": "2027-01-15T08:00:00.250Z",
        "level": "warning",
        "logger": "gateway.x",
        "message": "it broke",
    }


def test_a_line_about_one_request_has_its_trace_id_as_a_field() -> None:
    assert line_of(**of_trace("01a2"))["trace_id"] == "01a2"


def test_an_exception_is_told_in_the_same_line() -> None:
    try:
        int("many\nlines")
    except ValueError:
        found = line_of(exc_info=sys.exc_info())

    assert found["error"] == "ValueError"
    assert "test_logs.py" in str(found["traceback"])


@pytest.mark.anyio
async def test_a_gateway_with_json_logs_writes_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "tutelage.toml"
    path.write_text(
        """
[server]
port = 0
log = "json"
[upstreams.a]
base_url = "http://127.0.0.1:9/v1"
model = "a"
[routes.a]
student = "a"
teacher = "a"
""",
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.commands", "gateway", "--config", os.fspath(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TUTELAGE_HOME": os.fspath(tmp_path)},
    )
    assert process.stdout is not None
    said = await process.stdout.readline()
    port = int(said.rsplit(b":", 1)[1].partition(b"/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"no HTTP at all\r\n\r\n")
    await reader.read()
    writer.close()
    process.terminate()
    _, told = await process.communicate()

    lines = [json.loads(line) for line in told.splitlines()]
    assert "a client sent something that is not HTTP" in [line["message"] for line in lines]
    assert process.returncode == 0
