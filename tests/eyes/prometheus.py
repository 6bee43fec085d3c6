"""A real Prometheus on loopback, which scrapes what it is told to, every second."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PROGRAM = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

Sample = dict[str, Any]

_LOOK_EVERY_S = 0.2


async def until(what: Callable[[], Awaitable[bool]], *, within_s: float = 60.0) -> None:
    """Of a process that sends no event: looks again until it holds."""
    never = asyncio.Event()
    async with asyncio.timeout(within_s):
        while not await what():
            with suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), _LOOK_EVERY_S)


@dataclass(frozen=True)
class Prometheus:
    http: httpx.AsyncClient

    async def query(self, expr: str) -> list[Sample]:
        response = await self.http.get("/api/v1/query", params={"query": expr})
        assert response.status_code == 200, response.text
        found: list[Sample] = response.json()["data"]["result"]
        return found

    async def until(self, expr: str) -> None:
        """Until it says something."""

        async def holds() -> bool:
            return bool(await self.query(expr))

        await until(holds)


@asynccontextmanager
async def scraping(
    jobs: Mapping[str, Sequence[str]], folder: Path, *, rules: Path | None = None
) -> AsyncIterator[Prometheus]:
    """jobs: `host:port`s by the job's name."""
    assert PROGRAM is not None
    scrapes = [
        {"job_name": job, "static_configs": [{"targets": list(targets)}]}
        for job, targets in jobs.items()
    ]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": scrapes,
        "rule_files": [] if rules is None else [str(rules)],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            await until(lambda: _ready(http))
            yield Prometheus(http)
    finally:
        process.terminate()
        await process.communicate()


async def _ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/-/ready")).status_code == 200
    except httpx.HTTPError:
        return False
