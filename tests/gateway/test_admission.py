"""Who comes in at once, who waits, and what those are told who can do neither."""

import asyncio
import math

import pytest

from gateway.admission import Admission
from gateway.errors import Overloaded
from tests.gateway.hand_clock import HandLoop

pytestmark = pytest.mark.anyio


def admission(loop: HandLoop, most: int = 1, *, queued: int = 8, share: float = 1.0) -> Admission:
    return Admission(most, max_queued=queued, queue_s=5.0, timers=loop, caller_share=share)


async def test_a_free_slot_is_taken_without_waiting_and_a_full_house_is_said() -> None:
    door = admission(HandLoop(), 2)

    assert door.take("a")
    assert door.take("b")
    assert not door.take("a")
    assert door.in_flight == 2
    door.free("a")
    assert door.take("c")


async def test_a_full_queue_is_an_overload_that_says_when_to_come_back() -> None:
    door = admission(HandLoop(), queued=0)
    door.take("a")

    with pytest.raises(Overloaded, match="1 requests are in flight and 0 wait") as caught:
        await door.wait("a")

    assert caught.value.status == 429
    assert caught.value.retry_after_s == 1.0


async def test_a_wait_that_takes_too_long_is_an_overload() -> None:
    loop = HandLoop()
    door = admission(loop)
    door.take("a")

    async with asyncio.TaskGroup() as tasks:
        late = tasks.create_task(_outcome(door, "b"))
        await asyncio.sleep(0)
        assert door.queued == 1
        loop.wait(5.0)

    assert "none ended in 5 s" in late.result()
    assert door.queued == 0


async def test_a_client_with_less_patience_than_the_queue_waits_no_longer_than_it() -> None:
    loop = HandLoop()
    door = admission(loop)
    door.take("a")

    async with asyncio.TaskGroup() as tasks:
        late = tasks.create_task(_outcome(door, "b", 2.0))
        await asyncio.sleep(0)
        loop.wait(2.0)

    assert "none ended in 2 s" in late.result()


async def test_a_queued_client_that_leaves_frees_its_place_at_once() -> None:
    door = admission(HandLoop(), queued=1)
    door.take("a")
    waiting = asyncio.get_running_loop().create_task(door.wait("a"))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.sleep(0)

    assert door.queued == 0


@pytest.mark.parametrize(("freed", "waiting", "expected_s"), [(40, 7, 1), (4, 7, 8), (1, 199, 60)])
async def test_the_time_to_come_back_follows_from_the_queue_and_the_rate_of_service(
    freed: int, waiting: int, expected_s: float
) -> None:
    loop = HandLoop()
    door = admission(loop, 1000, queued=waiting)
    for _ in range(1000):
        door.take("a")
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(door.wait("a"))
        await asyncio.sleep(0)
        for _ in range(freed):
            door.free("a")
            door.take("a")
        loop.wait(4.0)
        await first
        crowd = [tasks.create_task(door.wait("a")) for _ in range(waiting)]
        await asyncio.sleep(0)
        assert door.queued == waiting

        assert door.retry_after_s() == expected_s
        for each in crowd:
            each.cancel()


async def test_a_house_where_nothing_ends_is_not_worth_trying_soon() -> None:
    loop = HandLoop()
    door = admission(loop, queued=0)
    door.take("a")
    with pytest.raises(Overloaded):
        await door.wait("a")

    loop.wait(30.0)

    assert door.retry_after_s() == 60.0


async def test_a_share_bounds_what_one_caller_holds() -> None:
    door = admission(HandLoop(), 10, share=0.25)

    assert [door.take("a") for _ in range(3)] == [True, True, False]
    assert door.take("b")


async def _outcome(door: Admission, caller: str, most_s: float = math.inf) -> str:
    try:
        await door.wait(caller, most_s)
    except Overloaded as overloaded:
        return str(overloaded)
    return "admitted"
