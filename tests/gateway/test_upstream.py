"""One backend with replicas: the least busy one is asked, and a slot is given back exactly once."""

import asyncio

import msgspec
import pytest

from gateway.affinity import Affinity
from gateway.call import Call, Ending
from gateway.errors import ContextTooLong, UpstreamCut, UpstreamFailed, UpstreamUnavailable
from gateway.event_stream import EventStream
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Cut, Events, Garbage, Say
from tests.gateway.upstreams import Bench, Pieces

pytestmark = pytest.mark.anyio

BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}'
STREAMED = Call("/chat/completions", BODY)
WHOLE = Call("/chat/completions", BODY.replace(b"true", b"false"))


async def read_to_the_end(stream: EventStream) -> None:
    while await stream.next() is not None:
        pass


async def test_the_least_busy_replica_is_asked(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as first, ScriptedEngine(model="m") as second:
        on = bench.upstream(first.base_url, second.base_url)
        stream = await on.stream(STREAMED)
        await on.ask(WHOLE)

        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert on.in_flight == 1
        stream.close()
        stream.close()
        assert on.in_flight == 0


async def test_a_slot_is_given_back_when_a_stream_breaks_before_its_first_event(
    bench: Bench,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url)
        await engine.close()

        with pytest.raises(UpstreamFailed):
            await on.stream(STREAMED)

        assert on.in_flight == 0


async def test_a_stream_is_read_to_its_done_and_the_connection_serves_again(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url)
        engine.script(Say("a", "b"))
        for _ in range(3):
            stream = await on.stream(STREAMED)
            await read_to_the_end(stream)
            stream.close()

        assert engine.connections == 1


async def test_what_follows_done_is_read_so_that_the_connection_can_be_used_again(
    bench: Bench,
) -> None:
    pieces = Pieces(b"data: {}\n\n", b"data: [DONE]\n\n", b": bye\n\n", b"")
    stream = await bench.upstream("http://engine/v1", transport=pieces).stream(STREAMED)
    await read_to_the_end(stream)
    stream.close()

    assert pieces.rest == []


async def test_a_stream_with_a_terminal_event_ends_with_the_connection(bench: Bench) -> None:
    pieces = Pieces(b"event: x\ndata: {}\n\n", b"")

    stream = await bench.upstream("http://engine/v1", transport=pieces).stream(
        Call("/responses", BODY, Ending.TERMINAL_EVENT)
    )

    assert [await stream.next(), await stream.next()] == [b"{}", None]
    assert pieces.urls == ["http://engine/v1/responses"]


@pytest.mark.parametrize("rest", [(b"",), (b"data: {}\n\n", b"data: {", b"")])
async def test_a_stream_that_ends_within_an_event_or_before_the_first_is_cut(
    bench: Bench,
    rest: tuple[bytes, ...],
) -> None:
    on = bench.upstream("http://engine/v1", transport=Pieces(*rest))

    with pytest.raises(UpstreamCut):
        await read_to_the_end(await on.stream(Call("/responses", BODY, Ending.TERMINAL_EVENT)))


async def test_tokenize_lies_beside_v1(bench: Bench) -> None:
    pieces = Pieces(b"{}", content_type="application/json")

    await bench.upstream("http://engine/v1", transport=pieces).ask(Call("/tokenize", b"{}"))

    assert pieces.urls == ["http://engine/tokenize"]


async def test_an_answer_is_not_asked_for_twice_once_it_has_begun(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, retries=3)
        engine.script(Cut(after=1))
        stream = await on.stream(STREAMED)

        with pytest.raises(UpstreamFailed, match="DONE"):
            await read_to_the_end(stream)

        stream.close()
        assert len(engine.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_200_that_is_html_is_a_failure(bench: Bench, *, stream: bool) -> None:
    page = b"<html><title>Welcome to nginx!</title></html>"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n"
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url)
        engine.script(Garbage(head % len(page) + page))

        with pytest.raises(UpstreamFailed, match="an HTML page") as caught:
            await (on.stream(STREAMED) if stream else on.ask(WHOLE))

        assert caught.value.status == 502
        assert on.in_flight == 0


async def test_an_error_in_the_place_of_the_first_event_is_raised_before_anything_is_sent(
    bench: Bench,
) -> None:
    error = {"message": "too long", "type": "exceed_context_size_error", "code": 400}
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url)
        engine.script(Events({"error": error}))

        with pytest.raises(ContextTooLong):
            await on.stream(STREAMED)

        assert on.in_flight == 0


async def test_an_error_in_the_middle_of_a_stream_is_no_clean_end(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url)
        engine.script(Events({"choices": []}, {"error": {"message": "out of memory"}}))
        stream = await on.stream(STREAMED)

        with pytest.raises(UpstreamFailed, match="out of memory"):
            await read_to_the_end(stream)

        stream.close()


async def test_a_body_that_ends_too_early_is_a_cut(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url)
        engine.script(Cut(after=20), Cut(after=20, clean=False))

        for _ in range(2):
            with pytest.raises(UpstreamCut):
                await on.ask(WHOLE)


async def test_an_engine_that_says_done_and_stays_is_not_waited_for(bench: Bench) -> None:
    on = bench.upstream("http://engine/v1", transport=Pieces(b"data: {}\n\n", b"data: [DONE]\n\n"))
    stream = await on.stream(STREAMED)
    assert await stream.next() == b"{}"

    assert await bench.late(stream.next(), 0.5) is None
    stream.close()


async def test_calls_off_the_path_give_way_and_clients_wait_for_their_turn(bench: Bench) -> None:
    off_path = Call("/chat/completions", WHOLE.body, background=True)
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, max_in_flight=2, spare_slots=1)
        first = await on.stream(STREAMED)

        with pytest.raises(UpstreamUnavailable, match="off the path"):
            await on.ask(off_path)
        second = await on.stream(STREAMED)
        async with asyncio.TaskGroup() as tasks:
            third = tasks.create_task(on.ask(WHOLE))
            await asyncio.sleep(0)
            first.close()
        assert third.result()
        second.close()
        assert await on.ask(off_path)

        assert on.in_flight == 0


async def test_a_call_that_finds_no_slot_in_time_fails_before_it_was_made(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, max_in_flight=1)
        first = await on.stream(STREAMED)

        with pytest.raises(UpstreamUnavailable, match="1 calls are in flight") as caught:
            await bench.late(on.ask(WHOLE), 1.1)
        first.close()

        assert caught.value.status == 503
        assert caught.value.retry_after_s == 1.0
        assert len(engine.requests) == 1


async def test_a_session_meets_the_same_replica_again(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as first, ScriptedEngine(model="m") as second:
        on = bench.upstream(first.base_url, second.base_url)
        for _ in range(6):
            await on.ask(Call("/chat/completions", WHOLE.body, affinity=b"session"))

        assert sorted([len(first.requests), len(second.requests)]) == [0, 6]


async def test_an_affinity_is_only_computed_where_there_is_a_choice(bench: Bench) -> None:
    fields = {"user": msgspec.Raw(b'"u"')}
    two = ("http://a/v1", "http://b/v1")

    assert bench.upstream(*two, affinity=Affinity.USER).affinity_of(fields) == b'"u"'
    assert bench.upstream(*two).affinity_of(fields) is None
    assert bench.upstream(two[0], affinity=Affinity.USER).affinity_of(fields) is None
