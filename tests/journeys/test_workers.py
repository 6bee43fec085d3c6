"""`tutelage gateway --workers 2`: real processes on one port, each of which may die."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import config
from gateway.server import share_of
from gateway.traces.reading import SqliteReader
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Say
from tests.serving import waiting

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="workers are forks"),
]

CONFIG = """
[server]
port = 0
workers = 2
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
BODY = {"model": "support", "messages": [{"role": "user", "content": "x"}]}


@dataclass
class Gateway:
    process: asyncio.subprocess.Process
    url: str
    student: ScriptedEngine
    store: Path

    def workers(self) -> list[int]:
        return children(self.process.pid)

    async def ask(self) -> httpx.Response:
        """Over a connection of its own, so that any worker may get it."""
        async with httpx.AsyncClient(timeout=60) as client:
            return await client.post(f"{self.url}/v1/chat/completions", json=BODY)

    async def served(self) -> float:
        """As a scrape of any one worker tells it."""
        async with httpx.AsyncClient(timeout=60) as client:
            text = (await client.get(f"{self.url}/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "tutelage_requests_total" and sample.labels["status"] == "200"
        )

    async def served_is(self, count: int) -> None:
        """A request is counted right after its last byte; the count never goes back."""
        async with asyncio.timeout(60):
            seen = 0.0
            while seen != count:
                before, seen = seen, await self.served()
                assert before <= seen <= count

    async def all_gone(self) -> None:
        """Parent and workers hold the write end of this pipe; the kernel tells when none does."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            await self.process.stdout.read()


@asynccontextmanager
async def gateway(tmp_path: Path, *arguments: str) -> AsyncIterator[Gateway]:
    store = tmp_path / "traces.db"
    path = tmp_path / "tutelage.toml"
    async with (
        ScriptedEngine(model="student") as student,
        ScriptedEngine(model="teacher") as teacher,
    ):
        path.write_text(
            CONFIG.format(
                student=student.base_url, teacher=teacher.base_url, store=f"sqlite://{store}"
            )
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.commands", "gateway", "--config", os.fspath(path)),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).split()[-1].decode().removesuffix("/v1")
        left: list[int] = []
        found = Gateway(process, url, student, store)
        try:
            await until(lambda: len(found.workers()) == 2)
            left = found.workers()
            yield found
            left = []
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            for pid in left:  # after a failure, also those that would not end by themselves
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await found.all_gone()
            await process.wait()


def children(pid: int) -> list[int]:
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = [map(int, line.split()) for line in table.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]


async def until(holds: Callable[[], bool]) -> None:
    await anyio.to_thread.run_sync(waiting.until, holds)


def stored(path: Path) -> list[str]:
    with SqliteReader(path) as reader:
        return [each.outcome for each in reader.recent(limit=1000)]


async def test_a_scrape_of_any_worker_tells_of_all_and_every_trace_is_stored(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path) as on:
        for answer in await asyncio.gather(*(on.ask() for _ in range(40))):
            assert answer.status_code == 200
        await on.served_is(40)

        assert await asyncio.gather(*(on.served() for _ in range(6))) == [40] * 6
        on.process.terminate()
        assert await on.process.wait() == 0
        assert stored(on.store) == ["served"] * 40


async def test_any_worker_takes_feedback_on_what_another_has_just_served(tmp_path: Path) -> None:
    async with gateway(tmp_path) as on:
        for _ in range(8):
            trace_id = (await on.ask()).headers["x-tutelage-trace-id"]
            async with httpx.AsyncClient(timeout=60) as client:
                said = {"trace_id": trace_id, "score": 1}
                accepted = await client.post(f"{on.url}/v1/feedback", json=said)

            assert accepted.status_code == 200

        on.process.terminate()
        assert await on.process.wait() == 0
        with SqliteReader(on.store) as reader:
            (stats,) = reader.stats()
        assert [(each.received, each.mean_score) for each in stats.feedback] == [(8, 1.0)]


async def test_a_killed_worker_is_replaced_and_no_count_goes_back(tmp_path: Path) -> None:
    async with gateway(tmp_path) as on:
        before = on.workers()
        for _ in range(10):
            await on.ask()
        await on.served_is(10)
        os.kill(before[0], signal.SIGKILL)
        await until(lambda: before[0] not in on.workers() and len(on.workers()) == 2)
        for _ in range(10):
            assert (await on.ask()).status_code == 200

        await on.served_is(20)
        assert before[1] in on.workers()
        on.process.terminate()
        assert on.process.stderr is not None
        said = (await on.process.stderr.read()).decode()
        assert f"worker {before[0]} ended with SIGKILL; another starts" in said
        assert await on.process.wait() == 0


async def test_a_request_in_flight_is_finished_before_all_end(tmp_path: Path) -> None:
    async with gateway(tmp_path) as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("last", " words", held=True))
        asking = tasks.create_task(on.ask())
        await on.student.called()
        on.process.terminate()
        await until(lambda: len(on.workers()) == 1)  # the idle one is gone already
        on.student.resume()

        assert (await asking).json()["choices"][0]["message"]["content"] == "last words"
        assert await on.process.wait() == 0
        await on.all_gone()
        assert stored(on.store) == ["served"]


async def test_when_the_parent_is_killed_the_workers_finish_and_end(tmp_path: Path) -> None:
    async with gateway(tmp_path) as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("last", " words", held=True))
        asking = tasks.create_task(on.ask())
        await on.student.called()
        on.process.kill()
        on.student.resume()

        assert (await asking).json()["choices"][0]["message"]["content"] == "last words"
        await on.all_gone()
        assert stored(on.store) == ["served"]


async def test_a_worker_that_cannot_start_ends_the_gateway_with_its_status(tmp_path: Path) -> None:
    store = tmp_path / "traces.db"
    store.write_bytes(b"Dear diary, " * 100)
    path = tmp_path / "tutelage.toml"
    path.write_text(
        CONFIG.format(
            student="http://127.0.0.1:1/v1",
            teacher="http://127.0.0.1:2/v1",
            store=f"sqlite://{store}",
        )
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.commands", "gateway", "--config", os.fspath(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()

    assert process.returncode == 2
    assert said.decode().count("file is not a database") == 1


def test_limits_are_for_all_workers_together() -> None:
    settings = config.Settings.model_validate(
        {
            "server": {"max_in_flight": 100, "max_queued": 10, "workers": 3},
            "upstreams": {"s": {"base_url": "http://127.0.0.1:1/v1", "model": "s"}},
            "routes": {"support": {"student": "s", "teacher": "s", "shadow": {"max_in_flight": 1}}},
        }
    )
    share = share_of(settings, 3)

    assert (share.server.max_in_flight, share.server.max_queued) == (34, 4)
    assert share.upstreams["s"].max_in_flight == 86
    assert share.routes["support"].shadow.max_in_flight == 1
    assert share.server.port == settings.server.port
