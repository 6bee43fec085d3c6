"""An upstream that keeps failing is left alone, and found again by one call at a time."""

import asyncio

import pytest

from gateway.breaker import BreakerRule, State
from gateway.call import Call
from gateway.errors import UpstreamFailed, UpstreamRejected, UpstreamUnavailable
from gateway.upstream import Upstream
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Behaviour, Cut, Garbage, Reset, Say, Status
from tests.gateway.upstreams import Bench

pytestmark = pytest.mark.anyio

WHOLE = Call("/chat/completions", b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
STREAMED = Call("/chat/completions", WHOLE.body.replace(b"}]}", b'}],"stream":true}'))
RULE = BreakerRule(failures=3, open_s=4.0, max_open_s=60.0)


async def fail(on: Upstream, times: int) -> None:
    for _ in range(times):
        with pytest.raises((UpstreamFailed, UpstreamRejected)):
            await on.ask(WHOLE)


@pytest.mark.parametrize(
    "fault",
    [
        Status(500),
        Status(502),
        Status(503),
        Status(504),
        Status(429),
        Status(408),
        Reset(),
        Cut(after=10),
        Garbage(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<>"),
    ],
)
async def test_a_circuit_opens_fails_at_once_and_says_when_it_will_be_tried(
    bench: Bench,
    fault: Behaviour,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=RULE)
        engine.script(fault)
        await fail(on, 3)

        with pytest.raises(
            UpstreamUnavailable, match=r"circuit open, next probe in 4\.0 s"
        ) as caught:
            await on.ask(WHOLE)

        assert caught.value.status == 503
        assert caught.value.retry_after_s == 4.0
        assert len(engine.requests) == 3
        assert on.in_flight == 0


@pytest.mark.parametrize("refusal", [Status(400), Status(401), Status(404), Status(422)])
async def test_a_refusal_of_the_request_is_no_failure_of_the_replica(
    bench: Bench, refusal: Status
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=RULE)
        engine.script(refusal)

        await fail(on, 10)

        assert on.replicas.circuit() is State.CLOSED


async def test_one_call_finds_out_whether_it_is_well_again_and_the_others_do_not_wait_for_it(
    bench: Bench,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=RULE)
        engine.script(Status(500))
        await fail(on, 3)
        bench.loop.wait(4.0)
        engine.script(Say("well", held=True), Say("well"))

        async with asyncio.TaskGroup() as tasks:
            probe = tasks.create_task(on.ask(WHOLE))
            await engine.called(4)
            with pytest.raises(UpstreamUnavailable):
                await on.ask(WHOLE)
            engine.resume()

        assert b"well" in probe.result()
        assert on.replicas.circuit() is State.CLOSED
        await on.ask(WHOLE)


async def test_a_stream_closes_the_circuit_with_its_first_event(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=RULE)
        engine.script(Status(500))
        await fail(on, 3)
        bench.loop.wait(4.0)
        engine.script(Say("a", "b", pause_after=1))

        stream = await on.stream(STREAMED)

        assert on.replicas.circuit() is State.CLOSED
        stream.close()


async def test_a_client_that_leaves_the_probe_leaves_it_to_the_next(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=RULE)
        engine.script(Status(500))
        await fail(on, 3)
        bench.loop.wait(4.0)
        engine.script(Say("well", held=True), Say("well"))

        leaving = asyncio.get_running_loop().create_task(on.ask(WHOLE))
        await engine.called(4)
        leaving.cancel()
        await engine.left()

        assert on.replicas.circuit() is State.HALF_OPEN
        assert b"well" in await on.ask(WHOLE)


async def test_clients_that_leave_never_open_it(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=RULE)
        engine.script(Say("slow", held=True))
        for calls in range(1, 6):
            leaving = asyncio.get_running_loop().create_task(on.ask(WHOLE))
            await engine.called(calls)
            leaving.cancel()
            await engine.left(calls)

        assert on.replicas.circuit() is State.CLOSED
        assert on.in_flight == 0


async def test_streams_that_are_cut_open_it_although_each_began_well(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=BreakerRule(failures=3, window=8, share=0.5))
        engine.script(Cut(after=1))
        for _ in range(4):
            stream = await on.stream(STREAMED)
            await stream.next()
            await stream.next()
            with pytest.raises(UpstreamFailed):
                await stream.next()
            stream.close()

        assert on.replicas.circuit() is State.OPEN


async def test_the_last_attempts_error_is_told_when_it_is_the_one_that_opens_the_circuit(
    bench: Bench,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=RULE, retries=5)
        engine.script(Status(503))

        with pytest.raises(UpstreamUnavailable, match="status 503"):
            await on.ask(WHOLE)

        assert len(engine.requests) == 3
