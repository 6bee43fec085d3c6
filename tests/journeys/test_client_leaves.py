"""A client that hangs up frees the engine at once, the slot with it, and is accounted for."""

import asyncio
from typing import Any

import pytest

from serving.scripts import Say
from tests.journeys.rig import HELLO, UNSURE, Rig, rig

pytestmark = pytest.mark.anyio


async def leave(on: Rig, asking: asyncio.Task[Any]) -> None:
    asking.cancel()
    await asyncio.wait([asking])
    trace = await on.traces.exchange()
    assert (trace.outcome, trace.status) == ("client_left", 499)
    assert on.on.admission.in_flight == 0


async def test_while_a_whole_answer_is_written() -> None:
    async with rig() as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("slow", held=True))
        asking = tasks.create_task(on.ask())
        await on.student.called()

        await leave(on, asking)
        await on.student.left()

        assert on.journal == ["student called", "student left after 0"]


async def test_while_the_gate_holds_a_stream() -> None:
    async with rig(route={"gate": {"window_tokens": 8}}) as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("a", "b", "c", pause_after=2))
        asking = tasks.create_task(on.events())
        await on.student.paused()

        await leave(on, asking)
        await on.student.left()

        assert on.journal == ["student called", "student left after 2"]


async def test_in_the_middle_of_a_committed_stream() -> None:
    async with rig(route={"gate": {"window_tokens": 1}}) as on:
        on.student.script(Say("a", "b", "c", pause_after=2))
        stream = await on.openai.chat.completions.create(
            model="support", messages=HELLO, stream=True
        )
        await anext(aiter(stream))
        await on.student.paused()
        await stream.close()

        await on.student.left()
        trace = await on.traces.exchange()

        assert trace.outcome == "client_left"
        assert trace.student is not None
        assert trace.student.complete is False
        assert on.on.admission.in_flight == 0


async def test_while_the_teacher_answers_a_deferral() -> None:
    async with rig() as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("hm", logprob=UNSURE))
        on.teacher.script(Say("slow", held=True))
        asking = tasks.create_task(on.ask())
        await on.teacher.called()

        await leave(on, asking)
        await on.teacher.left()

        assert on.journal[-1] == "teacher left after 0"


async def test_a_slot_is_held_until_the_last_byte_of_a_stream() -> None:
    async with rig(route={"gate": {"window_tokens": 1}}) as on:
        on.student.script(Say("a", "b", pause_after=2))
        stream = await on.openai.chat.completions.create(
            model="support", messages=HELLO, stream=True
        )
        await on.student.paused()

        assert on.on.admission.in_flight == 1
        on.student.resume()
        async for _ in stream:
            pass
        await on.traces.exchange()
        assert on.on.admission.in_flight == 0
        assert on.on.routes.find("support")[0].student.in_flight == 0
