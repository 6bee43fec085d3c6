"""A sampled share is also answered by the other model: off the path, bounded, compared, counted."""

import asyncio

import pytest

from serving.scripts import Hang, Say, Status
from tests.journeys.rig import UNSURE, rig

pytestmark = pytest.mark.anyio

ALL = {"shadow": {"rate": 1.0, "max_in_flight": 1}, "compare": ["exact", "normalised"]}


async def test_what_the_student_served_is_compared_with_the_teachers_answer() -> None:
    async with rig(route=ALL) as on:
        on.student.script(Say("Yes"))
        on.teacher.script(Say(" yes "))

        await on.ask()
        exact, normalised = await on.traces.judgement(1), await on.traces.judgement(2)

        assert (exact.by, exact.comparator, exact.agreement) == ("shadow", "exact", 0.0)
        assert (normalised.comparator, normalised.agreement) == ("normalised", 1.0)
        assert (await on.traces.exchange()).propensity == 1.0
        assert exact.trace_id == on.traces.exchanges[0].trace_id


async def test_near_the_threshold_the_propensity_on_record_is_the_requests_own() -> None:
    route = {
        "gate": {"threshold": 0.5},
        "shadow": {"rate": 1.0, "sampler": "near_threshold", "floor": 0.999},
    }
    async with rig(route=route) as on:
        on.student.script(Say("yes", logprob=-0.25))

        await on.ask()
        exchange, judgement = await on.traces.exchange(), await on.traces.judgement()

        assert exchange.confidence is not None
        drawn = 1.0 - 0.001 * (exchange.confidence - 0.5) / 0.5
        assert exchange.propensity == judgement.propensity == pytest.approx(drawn)


async def test_fields_are_compared_by_the_routes_own_rule() -> None:
    route = {
        "shadow": {"rate": 1.0},
        "compare": ["json", "exact"],
        "compare_json": {"tolerance": 0.1, "unordered": ["tags"]},
    }
    async with rig(route=route) as on:
        on.student.script(Say('{"tags": ["a", "b"], "price": 10, "name": "x"}'))
        on.teacher.script(Say('{"tags": ["b", "a"], "price": 10.5, "name": "y"}'))

        await on.ask()
        first = await on.traces.judgement(1)

        assert (first.comparator, first.agreement, first.detail) == ("json", 0.75, "name: x|y")


async def test_what_the_teacher_served_is_compared_with_the_students_answer() -> None:
    async with rig(route={**ALL, "mode": "teacher"}) as on:
        on.student.script(Say("no"))
        on.teacher.script(Say("yes"))

        await on.ask()

        assert (await on.traces.judgement()).agreement == 0.0


async def test_a_stream_is_shadowed_by_a_whole_answer() -> None:
    async with rig(route=ALL) as on:
        await on.events(stream_options={"include_usage": True})

        assert (await on.traces.judgement()).agreement == 1.0
        assert on.teacher.requests[0].body["stream"] is False
        assert "stream_options" not in on.teacher.requests[0].body


async def test_the_client_never_waits_for_a_shadow_and_the_overflow_is_shed_and_counted() -> None:
    async with rig(route=ALL) as on:
        on.teacher.script(Say("slow", held=True))

        first = await on.ask()
        await on.teacher.called()
        second, third = await on.ask(), await on.ask()

        assert [answer.status_code for answer in (first, second, third)] == [200] * 3
        assert await on.metric("tutelage_shadow_total", outcome="shed") == 2
        assert [each.comparator for each in on.traces.judgements] == ["shed", "shed"]
        assert len(on.teacher.requests) == 1
        on.teacher.resume()
        await on.traces.judgement(3)
        assert await on.metric("tutelage_shadow_total", outcome="compared") == 1


async def test_a_shadow_that_gives_way_to_live_calls_is_shed_and_its_trace_says_so() -> None:
    route = {**ALL, "shadow": {"rate": 1.0, "max_in_flight": 9}}
    async with rig(route=route, teacher={"max_in_flight": 2}) as on:
        on.teacher.script(Say("live", held=True))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(on.ask("support:teacher"))
            await on.teacher.called()

            answer = await on.ask()
            shed = await on.traces.judgement()
            on.teacher.resume()

        assert answer.status_code == 200
        assert (shed.by, shed.comparator, shed.agreement) == ("shadow", "shed", None)
        assert shed.propensity == 1.0
        assert await on.metric("tutelage_shadow_total", outcome="shed") == 1
        assert await on.metric("tutelage_shadow_total", outcome="failed") == 0
        assert len(on.teacher.requests) == 1


async def test_a_clients_priority_passes_through_and_its_shadow_has_one_of_its_own() -> None:
    async with rig(route=ALL, teacher={"background_priority": 100}) as on:
        await on.ask(priority=-3)
        await on.traces.judgement()

        assert on.student.requests[0].body["priority"] == -3
        assert on.teacher.requests[0].body["priority"] == 100


async def test_a_shadow_has_no_priority_where_its_upstream_knows_none() -> None:
    async with rig(route=ALL) as on:
        await on.ask(priority=-3)
        await on.traces.judgement()

        assert "priority" not in on.teacher.requests[0].body


@pytest.mark.parametrize("fault", [Status(500), Hang()])
async def test_a_shadow_that_fails_is_counted_and_disturbs_nobody(fault: Status | Hang) -> None:
    timeouts = {"timeouts": {"total_s": 0.2}}
    async with rig(route={**ALL, "mode": "teacher"}, student=timeouts) as on:
        on.student.script(fault)

        answer = await on.ask()
        await on.on.background.drain(timeout_s=10)

        assert answer.status_code == 200
        assert await on.metric("tutelage_shadow_total", outcome="failed") == 1
        lost = await on.traces.judgement()
        assert (lost.comparator, lost.agreement) == ("failed", None)
        assert lost.detail.startswith("student: ")


async def test_a_shadow_that_the_shutdown_cuts_short_is_counted() -> None:
    async with rig(route=ALL) as on:
        on.teacher.script(Say("slow", held=True))
        await on.ask()
        await on.teacher.called()

        await on.on.background.drain(timeout_s=0)

        assert await on.metric("tutelage_shadow_total", outcome="failed") == 1


async def test_nothing_is_shadowed_at_rate_zero() -> None:
    async with rig() as on:
        await on.ask()

        assert (await on.traces.exchange()).propensity is None
        assert on.journal == ["student called", "student finished"]


async def test_a_pinned_request_is_not_shadowed() -> None:
    async with rig(route=ALL) as on:
        await on.ask("support:student")

        assert (await on.traces.exchange()).propensity is None
        assert len(on.on.background) == 0


async def test_the_sampled_share_is_about_the_rate() -> None:
    async with rig(route={"shadow": {"rate": 0.25, "max_in_flight": 100}}) as on:
        await asyncio.gather(*(on.ask() for _ in range(100)))
        await on.traces.exchange(100)
        await on.on.background.drain(timeout_s=30)

        sampled = await on.metric("tutelage_shadow_total")  # also what gave way on a busy machine
        assert 8 <= sampled <= 45
        assert all(trace.propensity == 0.25 for trace in on.traces.exchanges)


async def test_a_deferral_needs_no_shadow() -> None:
    async with rig(route=ALL) as on:
        on.student.script(Say("hm", logprob=UNSURE))

        await on.ask()
        await on.on.background.drain(timeout_s=10)

        assert len(on.student.requests) == len(on.teacher.requests) == 1
        assert (await on.traces.judgement()).by == "fallback"
