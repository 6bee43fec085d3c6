"""One backend with replicas: the least busy one is asked, and a slot is given back exactly once."""

from collections.abc import Mapping

import pytest

from gateway.call import Call, Ending
from gateway.config import Timeouts
from gateway.errors import UpstreamCut, UpstreamFailed
from gateway.http_client import HttpTransport
from gateway.upstream import EventStream, Replica, Upstream
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Cut, Say

pytestmark = pytest.mark.anyio

BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}'
STREAMED = Call("/chat/completions", BODY)
WHOLE = Call("/chat/completions", BODY.replace(b"true", b"false"))


def upstream(*engines: ScriptedEngine, retries: int = 0) -> Upstream:
    return Upstream(
        name="student",
        model="m",
        replicas=tuple(Replica(engine.base_url) for engine in engines),
        timeouts=Timeouts(),
        retries=retries,
        transport=HttpTransport(connect_s=1.0, max_connections=10),
    )


async def read_to_the_end(stream: EventStream) -> None:
    while await stream.next() is not None:
        pass


async def test_the_least_busy_replica_is_asked() -> None:
    async with ScriptedEngine(model="m") as first, ScriptedEngine(model="m") as second:
        on = upstream(first, second)
        stream = await on.stream(STREAMED)
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
            await on.stream(STREAMED)

        assert on.in_flight == 0
        await on.transport.aclose()


async def test_a_stream_is_read_to_its_done_and_the_connection_serves_again() -> None:
    async with ScriptedEngine(model="m") as engine:
        on = upstream(engine)
        engine.script(Say("a", "b"))
        for _ in range(3):
            stream = await on.stream(STREAMED)
            await read_to_the_end(stream)
            stream.close()

        assert engine.connections == 1
        await on.transport.aclose()


class Pieces:
    """A response whose body comes in these pieces; and the transport that brings it."""

    status = 200

    def __init__(self, *pieces: bytes) -> None:
        self.headers = {"Content-Type": "text/event-stream"}
        self.rest = list(pieces)
        self.urls: list[str] = []

    async def read_some(self) -> bytes:
        return self.rest.pop(0)

    async def read(self) -> bytes:
        return b"".join(self.rest)

    def close(self) -> None:
        pass

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> "Pieces":
        self.urls.append(url)
        return self

    async def get(self, url: str, headers: Mapping[str, str]) -> "Pieces":
        return self

    async def aclose(self) -> None:
        pass


def pieced(pieces: Pieces) -> Upstream:
    return Upstream("student", "m", (Replica("http://engine/v1"),), Timeouts(), 0, pieces)


async def test_what_follows_done_is_read_so_that_the_connection_can_be_used_again() -> None:
    pieces = Pieces(b"data: {}\n\n", b"data: [DONE]\n\n", b": bye\n\n", b"")
    stream = await pieced(pieces).stream(STREAMED)
    await read_to_the_end(stream)
    stream.close()

    assert pieces.rest == []


async def test_a_stream_with_a_terminal_event_ends_with_the_connection() -> None:
    pieces = Pieces(b"event: x\ndata: {}\n\n", b"")

    stream = await pieced(pieces).stream(Call("/responses", BODY, Ending.TERMINAL_EVENT))

    assert [await stream.next(), await stream.next()] == [b"{}", None]
    assert pieces.urls == ["http://engine/v1/responses"]


@pytest.mark.parametrize("rest", [(b"",), (b"data: {}\n\n", b"data: {", b"")])
async def test_a_stream_that_ends_within_an_event_or_before_the_first_is_cut(
    rest: tuple[bytes, ...],
) -> None:
    with pytest.raises(UpstreamCut):
        await read_to_the_end(
            await pieced(Pieces(*rest)).stream(Call("/responses", BODY, Ending.TERMINAL_EVENT))
        )


async def test_tokenize_lies_beside_v1() -> None:
    pieces = Pieces(b"{}")

    await pieced(pieces).ask(Call("/tokenize", b"{}"))

    assert pieces.urls == ["http://engine/tokenize"]


async def test_an_answer_is_not_asked_for_twice_once_it_has_begun() -> None:
    async with ScriptedEngine(model="m") as engine:
        on = upstream(engine, retries=3)
        engine.script(Cut(after=1))
        stream = await on.stream(STREAMED)

        with pytest.raises(UpstreamFailed, match="DONE"):
            await read_to_the_end(stream)

        stream.close()
        assert len(engine.requests) == 1
        await on.transport.aclose()
