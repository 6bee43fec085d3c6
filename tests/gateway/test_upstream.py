"""One backend with replicas: the least busy one is asked, and a slot is given back exactly once."""

import pytest

from gateway.config import Timeouts
from gateway.errors import UpstreamFailed
from gateway.transport import AiohttpTransport
from gateway.upstream import EventStream, Replica, Upstream
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Cut, Say

pytestmark = pytest.mark.anyio

BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}'
WHOLE = BODY.replace(b"true", b"false")


def upstream(*engines: ScriptedEngine, retries: int = 0) -> Upstream:
    return Upstream(
        name="student",
        model="m",
        replicas=tuple(Replica(engine.base_url) for engine in engines),
        timeouts=Timeouts(),
        retries=retries,
        transport=AiohttpTransport(connect_s=1.0, max_connections=10),
    )


async def read_to_the_end(stream: EventStream) -> None:
    while await stream.next() is not None:
        pass


async def test_the_least_busy_replica_is_asked() -> None:
    async with ScriptedEngine(model="m") as first, ScriptedEngine(model="m") as second:
        on = upstream(first, second)
        stream = await on.stream(BODY)
        await on.ask(WHOLE)

        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert on.in_flight == 1
        stream.close()
        stream.close()
        assert on.in_flight == 0
        await on.transport.aclose()


async def test_a_slot_is_given_back_when_a_stream_breaks_before_its_first_event() -> None:
    async with ScriptedEngine(model="m") as engine:
        on = upstream(engine)
        await engine.close()

        with pytest.raises(UpstreamFailed):
            await on.stream(BODY)

        assert on.in_flight == 0
        await on.transport.aclose()


async def test_a_stream_is_read_to_its_done_and_the_connection_serves_again() -> None:
    async with ScriptedEngine(model="m") as engine:
        on = upstream(engine)
        engine.script(Say("a", "b"))
        for _ in range(3):
            stream = await on.stream(BODY)
            await read_to_the_end(stream)
            stream.close()

        assert engine.connections == 1
        await on.transport.aclose()


async def test_an_answer_is_not_asked_for_twice_once_it_has_begun() -> None:
    async with ScriptedEngine(model="m") as engine:
        on = upstream(engine, retries=3)
        engine.script(Cut(after=1))
        stream = await on.stream(BODY)

        with pytest.raises(UpstreamFailed, match="DONE"):
            await read_to_the_end(stream)

        stream.close()
        assert len(engine.requests) == 1
        await on.transport.aclose()
