"""A gateway that stands for as long as a conformance suite knocks on it, engines behind it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from gateway import config
from gateway.app import make_app, open_services
from gateway.callers import Anyone, Callers
from gateway.client_connection import client_connections
from gateway.listening import listen
from gateway.metrics import Metrics
from serving.scripted_engine import Flavour
from tests.conformance.agreeable import agreeable_engine
from tests.journeys.rig import KeptTraces

ROOT = Path(__file__).parent.parent.parent
TOOLS = ROOT / ".venv-conformance" / "bin"
"""The suites' own environment: `make test-conformance` makes it."""

Front = Callable[[ASGIApp], ASGIApp]


@dataclass(frozen=True, slots=True)
class Finished:
    """How a suite ended and what it said."""

    code: int
    output: str


@asynccontextmanager
async def gateway(
    *models: str,
    flavour: Flavour = "vllm",
    callers: Callers | None = None,
    front: Front | None = None,
) -> AsyncIterator[str]:
    """Its URL. A cascade of its own stands under each name; `front` may stand before them all."""
    async with (
        agreeable_engine("student", flavour) as student,
        agreeable_engine("teacher", flavour) as teacher,
    ):
        settings = config.Settings.model_validate(
            {
                "upstreams": {
                    "student": {"base_url": student.base_url, "model": "student"},
                    "teacher": {"base_url": teacher.base_url, "model": "teacher"},
                },
                "routes": {model: {"student": "student", "teacher": "teacher"} for model in models},
            }
        )
        async with open_services(
            settings,
            traces := KeptTraces(),
            callers=callers or Anyone(),
            metrics=Metrics(),
            secrets={},
            find_trace=traces.find,
        ) as on:
            app = make_app(on)
            http = client_connections(app.hot, max_body_bytes=on.max_body_bytes)
            async with _served(front(app) if front else app, None if front else http) as url:
                yield url


@asynccontextmanager
async def _served(app: ASGIApp, http: type[asyncio.Protocol] | None) -> AsyncIterator[str]:
    """http: what the gateway's own server reads connections with; it passes `app` by."""
    with listen(config.Server(port=0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=http or "httptools",
                lifespan="off",
                log_level="warning",
                access_log=False,
            )
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


async def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> Finished:
    """A program of the suites' environment, to its end; the gateway goes on meanwhile."""
    program, *arguments = command
    process = await asyncio.create_subprocess_exec(
        TOOLS / program,
        *arguments,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "160"} | env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return Finished(process.returncode or 0, output.decode(errors="replace"))
