"""An upstream for tests: hand-moved time, no chance, pauses that are noted and not waited for."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from gateway.affinity import Affinity
from gateway.alarms import Alarms
from gateway.breaker import Breaker, BreakerRule
from gateway.config import Timeouts
from gateway.http_client import HttpTransport
from gateway.replicas import Replica, Replicas
from gateway.retry import RetryBudget
from gateway.slots import Slots
from gateway.transport import Transport, TransportError
from gateway.upstream import Upstream
from serving.scripted_engine import ScriptedEngine
from tests.gateway.hand_clock import HandLoop

T = TypeVar("T")
_TURNS = 10
"""Of the event loop: more than any chain of callbacks here needs to come to rest."""


@dataclass(slots=True)
class Bench:
    """What surrounds an upstream in a test."""

    loop: HandLoop = field(default_factory=HandLoop)
    pauses_s: list[float] = field(default_factory=list)
    transports: list[Transport] = field(default_factory=list)

    async def aclose(self) -> None:
        for transport in self.transports:
            await transport.aclose()

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)

    async def late(
        self,
        work: Coroutine[object, object, T],
        *seconds: float,
        engine: ScriptedEngine | None = None,
        calls: int = 1,
    ) -> T:
        """Let time pass while `work` waits for something else, and the engine has its calls; the
        passing of time has to end it.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        if engine is not None:
            called = loop.create_task(engine.called(calls))
            await asyncio.wait({task, called}, return_when=asyncio.FIRST_COMPLETED)
            called.cancel()
        for wait_s in (*seconds, 0.0):
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self.loop.wait(wait_s)
        if not task.done():
            task.cancel()
            pytest.fail(f"it still waits after {sum(seconds):g} s")
        return await task

    def upstream(
        self,
        *base_urls: str,
        transport: Transport | None = None,
        timeouts: Timeouts | None = None,
        retries: int = 0,
        max_in_flight: int = 256,
        spare_slots: int = 0,
        rule: BreakerRule | None = None,
        affinity: Affinity = Affinity.NONE,
        budget: RetryBudget | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Upstream:
        alarms = Alarms(self.loop)
        transport = transport or HttpTransport(connect_s=1.0, max_connections=10)
        self.transports.append(transport)
        rule = rule or BreakerRule()
        return Upstream(
            name="student",
            model="m",
            replicas=Replicas(
                [
                    Replica(url, Breaker(rule, now_s=self.loop.time, jitter=lambda: 1.0))
                    for url in base_urls
                ]
            ),
            timeouts=timeouts or Timeouts(),
            transport=transport,
            slots=Slots(max_in_flight, timers=alarms, most_waiting=100),
            spare_slots=spare_slots,
            alarms=alarms,
            clock=self.loop,
            retries=retries,
            budget=budget or RetryBudget(),
            headers=dict(headers or {}),
            affinity=affinity,
            jitter=lambda: 0.0,
            sleep=self.sleep,
        )


class Pieces:
    """A response whose body comes in these pieces, one a read, and no end after the last; and the
    transport that brings it.
    """

    status = 200

    def __init__(self, *pieces: bytes, content_type: str = "text/event-stream") -> None:
        self.headers = {"content-type": content_type}
        self.rest = list(pieces)
        self.urls: list[str] = []
        self._closed = asyncio.Event()

    async def read_some(self) -> bytes:
        if not self.rest:
            await self._closed.wait()
            raise TransportError("closed by us")
        return self.rest.pop(0)

    async def read(self) -> bytes:
        return b"".join(self.rest)

    def close(self) -> None:
        self._closed.set()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> "Pieces":
        self.urls.append(url)
        return self

    async def get(self, url: str, headers: Mapping[str, str]) -> "Pieces":
        return self

    async def delete(self, url: str, headers: Mapping[str, str]) -> "Pieces":
        return self

    async def aclose(self) -> None:
        pass
