"""The queue is bounded, fair and loses nobody, whoever leaves it and when."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.slots import Slots, Turn
from tests.gateway.hand_clock import HandLoop

pytestmark = pytest.mark.anyio

PATIENCE_S = 10.0


@dataclass(slots=True)
class Crowd:
    """Callers that come, wait, are served, and leave; what each of them saw is noted."""

    slots: Slots
    loop: HandLoop
    waiting: list[tuple[str, int, asyncio.Task[Turn]]] = field(default_factory=list)
    holding: list[str] = field(default_factory=list)
    served: list[tuple[str, int]] = field(default_factory=list)
    turned_away: Counter[Turn] = field(default_factory=Counter)
    come: int = 0

    async def comes(self, who: str) -> None:
        self.come += 1
        if self.slots.take(who):
            self.holding.append(who)
            return
        task = asyncio.get_running_loop().create_task(self.slots.wait(who, PATIENCE_S))
        self.waiting.append((who, self.come, task))
        await self.settle()

    async def ends(self, which: int) -> None:
        if self.holding:
            self.slots.free(self.holding.pop(which % len(self.holding)))
            await self.settle()

    async def leaves(self, which: int) -> None:
        if self.waiting:
            self.waiting[which % len(self.waiting)][2].cancel()
            await self.settle()

    async def ends_as_one_leaves(self, which: int) -> None:
        """The slot is handed on and its new holder is gone before it can know."""
        if self.holding:
            self.slots.free(self.holding.pop(which % len(self.holding)))
        if self.waiting:
            self.waiting[which % len(self.waiting)][2].cancel()
        await self.settle()

    async def do(self, act: str, which: int) -> None:
        match act:
            case "comes":
                await self.comes("abc"[which % 3])
            case "ends":
                await self.ends(which)
            case "leaves":
                await self.leaves(which)
            case "both":
                await self.ends_as_one_leaves(which)
            case "time":
                self.loop.wait(which * 2.0)
                await self.settle()

    async def settle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        for who, number, task in [each for each in self.waiting if each[2].done()]:
            self.waiting.remove((who, number, task))
            if task.cancelled():
                continue
            if task.result() is Turn.YOURS:
                self.holding.append(who)
                self.served.append((who, number))
            else:
                self.turned_away[task.result()] += 1


def crowd(most: int, *, waiting: int = 100, each: int | None = None) -> Crowd:
    loop = HandLoop()
    return Crowd(Slots(most, timers=loop, most_waiting=waiting, most_each=each), loop)


ACTS = st.sampled_from(["comes", "comes", "comes", "ends", "leaves", "both", "time"])


@settings(max_examples=200)
@given(
    st.integers(1, 4),
    st.integers(0, 6),
    st.none() | st.integers(1, 3),
    st.lists(st.tuples(ACTS, st.integers(0, 6)), max_size=60),
)
def test_whatever_happens_nobody_is_lost_and_there_are_never_too_many(
    most: int, most_waiting: int, most_each: int | None, acts: list[tuple[str, int]]
) -> None:
    each = most if most_each is None else min(most_each, most)

    async def story() -> None:
        on = crowd(most, waiting=most_waiting, each=each)
        for act, which in acts:
            await on.do(act, which)
            held = Counter(on.holding)
            assert on.slots.in_flight == len(on.holding) <= most
            assert on.slots.waiting == len(on.waiting) <= most_waiting
            assert not held or max(held.values()) <= each
            if len(on.holding) < most:
                assert all(held[who] == each for who, _, _ in on.waiting), "a wakeup was lost"
        for who in "abc":
            turns = [number for each_who, number in on.served if each_who == who]
            assert turns == sorted(turns), "first come, first served, among one's own"
        while on.holding:
            await on.ends(0)
        assert not on.waiting
        assert (on.slots.in_flight, on.slots.waiting) == (0, 0)

    asyncio.run(story())


async def test_a_flood_does_not_starve_the_others() -> None:
    on = crowd(1)
    await on.comes("flood")
    for _ in range(20):
        await on.comes("flood")
    await on.comes("quiet")
    await on.comes("other")

    for _ in range(3):
        await on.ends(0)

    assert [who for who, _ in on.served] == ["flood", "quiet", "other"]
    for _ in range(20):
        await on.ends(0)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(1, 3))
def test_callers_who_wait_are_served_in_turn(queues: list[int], most: int) -> None:
    async def story() -> None:
        on = crowd(most)
        for _ in range(most):
            await on.comes("first")
        for who, count in enumerate(queues):
            for _ in range(count):
                await on.comes(str(who))
        left = Counter({str(who): count for who, count in enumerate(queues)})
        while on.holding:
            await on.ends(0)
            served = Counter(who for who, _ in on.served)
            waiting = [served[who] for who in left if served[who] < left[who]]
            assert not waiting or max(waiting) - min(waiting) <= 1
        assert Counter(who for who, _ in on.served) == left

    asyncio.run(story())


async def test_where_the_queue_is_full_the_longest_one_gives() -> None:
    on = crowd(1, waiting=4)
    for who in ("flood",) * 5:
        await on.comes(who)
    await on.comes("quiet")

    assert on.turned_away == {Turn.QUEUE_FULL: 1}
    assert Counter(who for who, _, _ in on.waiting) == {"flood": 3, "quiet": 1}
    await on.comes("flood")
    assert on.turned_away == {Turn.QUEUE_FULL: 2}, "the flood itself finds it full"
    while on.holding:
        await on.ends(0)


async def test_one_caller_can_be_kept_from_holding_everything() -> None:
    on = crowd(4, each=2)
    for who in ("a", "a", "a", "b"):
        await on.comes(who)

    assert Counter(on.holding) == {"a": 2, "b": 1}
    assert [who for who, _, _ in on.waiting] == ["a"]
    await on.ends(on.holding.index("b"))
    assert len(on.waiting) == 1, "a slot of another's does not raise the limit"
    await on.ends(0)
    assert not on.waiting
    while on.holding:
        await on.ends(0)


async def test_whoever_waits_too_long_is_told_so_and_leaves_the_queue() -> None:
    on = crowd(1)
    await on.comes("a")
    await on.comes("a")

    on.loop.wait(PATIENCE_S)
    await on.settle()

    assert on.turned_away == {Turn.TOO_LATE: 1}
    assert on.slots.waiting == 0


async def test_what_gives_way_takes_only_what_is_to_spare() -> None:
    slots = crowd(4).slots

    assert slots.take("a", spare=2)
    assert slots.take("a", spare=2)
    assert not slots.take("a", spare=2)
    assert slots.take("a")
