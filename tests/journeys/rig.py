"""A running gateway between a scripted student and a scripted teacher, and clients for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from openai import AsyncOpenAI
from prometheus_client.parser import text_string_to_metric_families

from gateway import config
from gateway.app import make_app, open_services
from gateway.callers import Anyone, Callers
from gateway.client_connection import client_connections
from gateway.listening import listen
from gateway.metrics import Metrics
from gateway.services import Services
from gateway.traces.store import ServedTrace
from router.trace import Exchange, Judgement, ModelAnswer
from serving.scripted_engine import ScriptedEngine

SURE, UNSURE = -0.01, -4.0
PATIENT = {"first_token_s": 3600.0, "idle_s": 3600.0, "total_s": 3600.0}
"""So that nothing is mended by a timeout, unless a test is about timeouts."""
HELLO: Any = [{"role": "user", "content": "hello"}]


@dataclass(slots=True)
class KeptTraces:
    """A trace writer that keeps everything in a list, and can be waited on."""

    exchanges: list[Exchange] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, record: Exchange | Judgement) -> None:
        if isinstance(record, Exchange):
            self.exchanges.append(record)
        else:
            self.judgements.append(record)
        self._changed.set()

    async def aclose(self) -> None:
        pass

    def find(self, trace_id: str) -> ServedTrace | None:
        for each in self.exchanges:
            if each.trace_id == trace_id:
                return ServedTrace(each.route, each.served_by, each.caller)
        return None

    async def exchange(self, number: int = 1) -> Exchange:
        """The n-th exchange, waited for: it is closed after the client has read its last byte."""
        await self._until(lambda: len(self.exchanges) >= number)
        return self.exchanges[number - 1]

    async def said_by_student(self) -> ModelAnswer:
        """The student's part in the first exchange."""
        student = (await self.exchange()).student
        assert student is not None
        return student

    async def judgement(self, number: int = 1) -> Judgement:
        await self._until(lambda: len(self.judgements) >= number)
        return self.judgements[number - 1]

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()


@dataclass(slots=True)
class Rig:
    student: ScriptedEngine
    teacher: ScriptedEngine
    journal: list[str]
    traces: KeptTraces
    on: Services
    settings: config.Settings
    url: str
    openai: AsyncOpenAI
    http: httpx.AsyncClient

    async def ask(self, model: str = "support", **more: Any) -> httpx.Response:
        """A whole answer, raw."""
        body = {"model": model, "messages": HELLO, **more}
        return await self.http.post("/v1/chat/completions", json=body)

    async def events(self, model: str = "support", **more: Any) -> tuple[httpx.Response, list[str]]:
        """A streamed answer: the response and the data of its events."""
        body = {"model": model, "messages": HELLO, "stream": True, **more}
        async with self.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = [line async for line in response.aiter_lines() if line]
        return response, [line.removeprefix("data: ") for line in lines]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry these labels."""
        text = (await self.http.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@asynccontextmanager
async def rig(
    *,
    route: dict[str, Any] | None = None,
    student: dict[str, Any] | None = None,
    teacher: dict[str, Any] | None = None,
    small: dict[str, Any] | None = None,
    large: dict[str, Any] | None = None,
    callers: Callers | None = None,
    **sections: Any,
) -> AsyncIterator[Rig]:
    """`route`, `student` and `teacher` are merged into the config's route and upstreams.

    `small` and `large` are how the scripted student and teacher are started.
    """
    journal: list[str] = []
    traces = KeptTraces()
    async with (
        ScriptedEngine(model="student", journal=journal, **(small or {})) as low,
        ScriptedEngine(model="teacher", journal=journal, **(large or {})) as high,
    ):
        settings = config.Settings.model_validate(
            {
                "upstreams": {
                    "student": {
                        "base_url": low.base_url,
                        "model": "student",
                        "timeouts": PATIENT,
                        **(student or {}),
                    },
                    "teacher": {
                        "base_url": high.base_url,
                        "model": "teacher",
                        "timeouts": PATIENT,
                        **(teacher or {}),
                    },
                },
                "routes": {"support": {"student": "student", "teacher": "teacher"} | (route or {})},
                **sections,
            }
        )
        async with (
            running(settings, traces, callers) as (on, url),
            httpx.AsyncClient(base_url=url, timeout=30) as http,
            AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        ):
            yield Rig(low, high, journal, traces, on, settings, url, client, http)


@asynccontextmanager
async def running(
    settings: config.Settings, traces: KeptTraces, callers: Callers | None = None
) -> AsyncIterator[tuple[Services, str]]:
    """A gateway, and its URL."""
    async with (
        open_services(
            settings,
            traces,
            callers=callers or Anyone(),
            metrics=Metrics(),
            secrets={},
            find_trace=traces.find,
        ) as on,
        listening(on) as url,
    ):
        yield on, url


@asynccontextmanager
async def listening(on: Services) -> AsyncIterator[str]:
    with listen(config.Server(port=0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = make_app(on)
        http = client_connections(app.hot, max_body_bytes=on.max_body_bytes)
        server = uvicorn.Server(
            uvicorn.Config(app, http=http, lifespan="off", log_level="warning", access_log=False)
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            try:
                yield url
            finally:
                server.should_exit = True
