"""However an engine dawdles, a call ends: by the upstream's own limits or by the client's."""

import pytest

from gateway.breaker import State
from gateway.call import Call
from gateway.config import Timeouts
from gateway.errors import UpstreamFailed, UpstreamTimedOut
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Hang, Say
from tests.gateway.upstreams import Bench, Pieces

pytestmark = pytest.mark.anyio

WHOLE = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
STREAMED = WHOLE.replace(b"}]}", b'}],"stream":true}')
TIMEOUTS = Timeouts(connect_s=1.0, first_token_s=10.0, idle_s=20.0, total_s=60.0)


def whole(until_s: float | None = None) -> Call:
    return Call("/chat/completions", WHOLE, until_s=until_s)


def streamed(until_s: float | None = None) -> Call:
    return Call("/chat/completions", STREAMED, until_s=until_s)


@pytest.mark.parametrize("after", [None, 10], ids=["before the head", "within the body"])
async def test_a_whole_answer_that_does_not_come_ends_at_total_s(
    bench: Bench, after: int | None
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, timeouts=TIMEOUTS)
        engine.script(Hang(after=after))

        with pytest.raises(UpstreamTimedOut, match="no whole answer within total_s = 60"):
            await bench.late(on.ask(whole()), 59, 2, engine=engine)

        await engine.left()
        assert on.in_flight == 0


async def test_a_stream_that_does_not_begin_ends_at_first_token_s(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, timeouts=TIMEOUTS)
        engine.script(Hang())

        with pytest.raises(UpstreamTimedOut, match="no first token within first_token_s = 10"):
            await bench.late(on.stream(streamed()), 9, 2, engine=engine)

        await engine.left()
        assert on.in_flight == 0


async def test_a_stream_that_falls_silent_ends_at_idle_s(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, timeouts=TIMEOUTS)
        engine.script(Hang(after=1))
        stream = await on.stream(streamed())
        await stream.next()
        await stream.next()

        with pytest.raises(UpstreamTimedOut, match="nothing came for idle_s = 20"):
            await bench.late(stream.next(), 21)

        stream.close()


async def test_a_drip_that_is_never_silent_for_long_ends_at_total_s(bench: Bench) -> None:
    drip = Pieces(*[b"data: {}\n\n"] * 4)
    on = bench.upstream("http://engine/v1", transport=drip, timeouts=TIMEOUTS)
    stream = await on.stream(streamed())
    for _ in range(4):
        assert await stream.next() == b"{}"
        bench.loop.wait(19)

    with pytest.raises(UpstreamTimedOut, match="total_s = 60 is over"):
        await stream.next()

    stream.close()


async def test_what_is_left_of_the_clients_patience_shortens_every_limit_and_is_handed_on(
    bench: Bench,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, timeouts=TIMEOUTS)
        engine.script(Say("a"), Hang())
        until_s = bench.loop.now_s + 5.0
        await on.ask(whole(until_s))
        bench.loop.wait(2.0)

        with pytest.raises(UpstreamTimedOut, match="no first token before the client's deadline"):
            await bench.late(on.stream(streamed(until_s)), 3.1, engine=engine, calls=2)

        told = [each.headers["x-tutelage-timeout-s"] for each in engine.requests]
        assert told == ["5.000", "3.000"]
        with pytest.raises(UpstreamTimedOut, match="not asked"):
            await on.ask(whole(until_s))
        assert len(engine.requests) == 2


async def test_a_client_with_more_patience_than_total_s_changes_nothing(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, timeouts=TIMEOUTS)

        await on.ask(whole(bench.loop.now_s + 600))
        await on.ask(whole())

        assert all("x-tutelage-timeout-s" not in each.headers for each in engine.requests)


async def test_the_clients_deadline_ends_a_stream_in_its_middle(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, timeouts=TIMEOUTS)
        engine.script(Hang(after=1))
        stream = await on.stream(streamed(bench.loop.now_s + 15.0))
        await stream.next()
        await stream.next()

        with pytest.raises(UpstreamTimedOut, match="the client's deadline has passed"):
            await bench.late(stream.next(), 15.1)

        stream.close()


async def test_an_impatient_client_does_not_open_the_circuit_and_a_slow_engine_does(
    bench: Bench,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, timeouts=TIMEOUTS)
        engine.script(Hang())
        for calls in range(1, 11):
            with pytest.raises(UpstreamTimedOut):
                await bench.late(
                    on.ask(whole(bench.loop.now_s + 1.0)), 1.1, engine=engine, calls=calls
                )
        assert on.replicas.circuit() is State.CLOSED

        for calls in range(11, 16):
            with pytest.raises(UpstreamTimedOut):
                await bench.late(on.ask(whole()), 61, engine=engine, calls=calls)

        with pytest.raises(UpstreamFailed, match="circuit open"):
            await on.ask(whole())
