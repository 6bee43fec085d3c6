"""What is asked again, where and when: only what was not processed, elsewhere first, in measure."""

import pytest

from gateway.breaker import BreakerRule
from gateway.call import Call
from gateway.errors import UpstreamFailed, UpstreamRejected, UpstreamUnavailable
from gateway.retry import RetryBudget
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Cut, Hang, Reset, Say, Status
from tests.gateway.upstreams import Bench

pytestmark = pytest.mark.anyio

WHOLE = Call("/chat/completions", b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
STREAMED = Call("/chat/completions", WHOLE.body.replace(b"}]}", b'}],"stream":true}'))


@pytest.mark.parametrize(
    "refusal", [Status(502), Status(503), Status(429, None, {"retry-after": "1"})]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_turned_the_call_away_is_asked_again(
    bench: Bench, refusal: Status, *, stream: bool
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, retries=1)
        engine.script(refusal, Say("yes"))

        if stream:
            (await on.stream(STREAMED)).close()
        else:
            assert b"yes" in await on.ask(WHOLE)

        assert len(engine.requests) == 2
        assert bench.pauses_s == [1.0 if refusal.code == 429 else 0.025]
        assert on.in_flight == 0


@pytest.mark.parametrize(
    "fault",
    [Status(400), Status(401), Status(404), Status(500), Status(504), Status(429), Cut(after=5)],
)
async def test_what_may_have_been_processed_or_will_not_change_is_not_asked_again(
    bench: Bench,
    fault: Status | Cut,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, retries=3)
        engine.script(fault)

        with pytest.raises((UpstreamFailed, UpstreamRejected)):
            await on.ask(WHOLE)

        assert len(engine.requests) == 1
        assert bench.pauses_s == []


async def test_pauses_double_and_attempts_end(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, retries=3)
        engine.script(Status(503, None, {"retry-after": "0"}))

        with pytest.raises(UpstreamUnavailable, match="status 503"):
            await on.ask(WHOLE)

        assert len(engine.requests) == 4
        assert bench.pauses_s == [0.025, 0.05, 0.1]


@pytest.mark.parametrize("code", [429, 503])
async def test_a_retry_after_that_is_too_long_is_left_to_the_client(
    bench: Bench, code: int
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, retries=1)
        engine.script(Status(code, None, {"retry-after": "20"}))

        with pytest.raises((UpstreamRejected, UpstreamUnavailable)) as caught:
            await on.ask(WHOLE)

        assert caught.value.status == code
        assert caught.value.retry_after_s == 20.0
        assert len(engine.requests) == 1


async def test_a_wait_past_the_clients_deadline_is_not_begun(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, retries=1)
        engine.script(Status(503, None, {"retry-after": "2"}))
        hurried = Call(WHOLE.path, WHOLE.body, until_s=bench.loop.now_s + 1.5)

        with pytest.raises(UpstreamUnavailable):
            await on.ask(hurried)

        assert bench.pauses_s == []


@pytest.mark.parametrize(
    "fault", [Status(503), Status(429), Status(429, None, {"retry-after": "60"})]
)
async def test_another_replica_is_asked_at_once_whatever_the_first_one_says(
    bench: Bench, fault: Status
) -> None:
    async with ScriptedEngine(model="m") as first, ScriptedEngine(model="m") as second:
        on = bench.upstream(first.base_url, second.base_url, retries=1)
        first.script(fault)
        second.script(fault, Say("yes"))

        # Whichever is asked first, the other is asked second.
        with pytest.raises((UpstreamRejected, UpstreamUnavailable)):
            await on.ask(WHOLE)
        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert b"yes" in await on.ask(WHOLE)

        assert bench.pauses_s in ([0.025, 0.025], [0.025])
        assert on.in_flight == 0
        assert [each.in_flight for each in on.replicas.all] == [0, 0]


async def test_a_replica_that_cannot_be_reached_costs_nothing_while_there_is_another(
    bench: Bench,
) -> None:
    async with ScriptedEngine(model="m") as gone, ScriptedEngine(model="m") as there:
        on = bench.upstream(gone.base_url, there.base_url, retries=1)
        await gone.close()

        for _ in range(4):
            assert await on.ask(WHOLE)

        assert len(there.requests) == 4


async def test_a_storm_of_retries_is_calmed_by_the_budget(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        budget = RetryBudget(share=0.25, burst=2.0, saved=2.0)
        never_opens = BreakerRule(failures=1000, window=1000, share=1.0)
        on = bench.upstream(engine.base_url, retries=1, budget=budget, rule=never_opens)
        engine.script(Status(503))
        for _ in range(16):
            with pytest.raises(UpstreamUnavailable):
                await on.ask(WHOLE)

        assert len(engine.requests) == 16 + 2 + 3


async def test_a_timeout_of_ours_is_not_tried_again(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, retries=3)
        engine.script(Hang())

        with pytest.raises(UpstreamFailed, match="total_s = 300"):
            await bench.late(on.ask(WHOLE), 301, engine=engine)

        assert len(engine.requests) == 1


async def test_a_kept_connection_that_turns_out_dead_is_no_failure(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url)
        engine.script(Say("one"), Reset(), Say("two"))
        await on.ask(WHOLE)

        assert b"two" in await on.ask(WHOLE)

        assert len(engine.requests) == 3


async def test_a_call_that_broke_a_new_connection_is_not_sent_to_break_another(
    bench: Bench,
) -> None:
    """The engine had all of it, and may have died of it."""
    async with ScriptedEngine(model="m") as first, ScriptedEngine(model="m") as second:
        on = bench.upstream(first.base_url, second.base_url, retries=3)
        first.script(Reset())
        second.script(Reset())

        with pytest.raises(UpstreamFailed):
            await on.ask(WHOLE)

        assert len(first.requests) + len(second.requests) == 1
