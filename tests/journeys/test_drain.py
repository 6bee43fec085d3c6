"""SIGTERM: requests in flight are finished, traces are written, the exit code is 0."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from gateway.location import store_path
from gateway.traces.reading import SqliteReader
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Say

pytestmark = pytest.mark.anyio

CONFIG = """
[server]
port = 0
[upstreams.student]
base_url = "{student}"
model = "student"
[upstreams.teacher]
base_url = "{teacher}"
model = "teacher"
[routes.support]
student = "student"
teacher = "teacher"
[traces]
store = "{store}"
"""


DAWDLING = """
import sys
from gateway import commands, server

run = server.run

def dawdle(*arguments, **more):
    sys.stdin.readline()
    return run(*arguments, **more)

server.run = dawdle
sys.exit(commands.main())
"""


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_who_has_read_the_url_can_stop_it_cleanly_however_early(
    tmp_path: Path, workers: str
) -> None:
    nobody, store = "http://127.0.0.1:9/v1", f"sqlite://{tmp_path}/traces.db"
    path = tmp_path / "tutelage.toml"
    path.write_text(CONFIG.format(student=nobody, teacher=nobody, store=store))
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DAWDLING, "gateway", "--config", os.fspath(path)),
        *("--workers", workers),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert gateway.stdout is not None
    assert await gateway.stdout.readline()

    gateway.send_signal(signal.SIGTERM)
    await gateway.communicate(b"go on\n")

    assert gateway.returncode == 0


async def test_a_request_in_flight_is_finished_and_its_trace_stored(tmp_path: Path) -> None:
    async with (
        ScriptedEngine(model="student") as student,
        ScriptedEngine(model="teacher") as teacher,
    ):
        store = f"sqlite://{tmp_path}/traces.db"
        path = tmp_path / "tutelage.toml"
        path.write_text(
            CONFIG.format(student=student.base_url, teacher=teacher.base_url, store=store)
        )
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.commands", "gateway", "--config", os.fspath(path),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert gateway.stdout is not None
        url = (await gateway.stdout.readline()).split()[-1].decode()
        student.script(Say("last", " words", held=True))
        async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as tasks:
            body = {"model": "support", "messages": [{"role": "user", "content": "x"}]}
            asking = tasks.create_task(client.post(f"{url}/chat/completions", json=body))
            await student.called()

            gateway.send_signal(signal.SIGTERM)
            student.resume()
            answer = await asking

        assert answer.json()["choices"][0]["message"]["content"] == "last words"
        assert await gateway.wait() == 0
        with SqliteReader(store_path(store)) as reader:
            stored = reader.recent(limit=10)
        assert [exchange.outcome for exchange in stored] == ["served"]
