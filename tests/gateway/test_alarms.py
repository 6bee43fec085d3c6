"""Alarms ring in time, only when they are still wanted, and cost the loop one timer."""

import asyncio
from collections.abc import Awaitable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms import Alarm, Alarms
from tests.gateway.hand_clock import HandLoop

pytestmark = pytest.mark.anyio


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=30), st.integers(1, 40))
def test_an_alarm_rings_once_never_early_and_at_most_a_bucket_late(
    wished: list[tuple[float, bool]], steps: int
) -> None:
    loop = HandLoop()
    alarms = Alarms(loop)
    rung: dict[int, float] = {}
    due = {}

    def ring(number: int) -> None:
        rung[number] = loop.now_s

    for number, (after_s, kept) in enumerate(wished):
        alarm = alarms.call_at(loop.now_s + after_s, partial(ring, number))
        if kept:
            due[number] = loop.now_s + after_s
        else:
            alarm.cancel()

    for _ in range(steps):
        loop.wait(31 / steps)

    assert rung.keys() == due.keys()
    assert all(due[each] <= rung[each] <= due[each] + 0.0501 for each in due)
    assert len(alarms) == 0


def test_the_loop_has_one_timer_however_many_alarms_there_are() -> None:
    loop = HandLoop()
    alarms = Alarms(loop)

    for number in range(1000):
        alarms.call_at(loop.now_s + 300 + number, print).cancel()

    assert len(loop.timers) == 1


def test_an_alarm_that_another_one_called_off_does_not_ring() -> None:
    loop, rung = HandLoop(), list[str]()
    alarms = Alarms(loop)
    pair: list[Alarm] = []

    def ring() -> None:
        rung.append("one")
        for alarm in pair:
            alarm.cancel()

    pair += [alarms.call_at(110.0, ring), alarms.call_at(110.0, ring)]
    loop.wait(20)

    assert rung == ["one"]


def test_an_alarm_can_be_set_while_one_rings() -> None:
    loop, rung = HandLoop(), list[float]()
    alarms = Alarms(loop)

    def ring() -> None:
        rung.append(loop.now_s)
        if len(rung) == 1:
            alarms.call_at(103.0, ring)

    alarms.call_at(101.0, ring)
    alarms.call_at(500.0, print)

    loop.wait(10)

    assert rung == pytest.approx([101.0, 103.0], abs=0.06)


async def test_a_block_that_takes_too_long_ends_with_a_timeout() -> None:
    loop = HandLoop()
    alarms = Alarms(loop)
    waiting = asyncio.Event()

    async def wait_for_ever() -> None:
        with alarms.within(5.0):
            waiting.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_timed_out(wait_for_ever()))
        await waiting.wait()
        loop.wait(6.0)

    assert task.result()


async def _timed_out(work: Awaitable[None]) -> bool:
    try:
        await work
    except TimeoutError:
        return True
    return False


async def test_a_cancellation_from_elsewhere_passes_through() -> None:
    alarms = Alarms(HandLoop())

    async def work() -> None:
        with alarms.within(5.0):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(alarms) == 0


async def test_a_client_that_leaves_as_the_alarm_rings_is_not_mistaken_for_a_timeout() -> None:
    loop = HandLoop()
    alarms = Alarms(loop)

    async def work() -> None:
        with alarms.within(5.0):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    loop.wait(6.0)

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_block_that_ends_in_time_leaves_nothing_behind() -> None:
    loop = HandLoop()
    alarms = Alarms(loop)

    with alarms.within(5.0):
        pass
    loop.wait(10.0)
    await asyncio.sleep(0)  # a cancellation would strike here

    assert len(alarms) == 0
