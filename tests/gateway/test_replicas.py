"""The replica that is asked: a session's own, unless it is ill or much busier than the others."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.breaker import Breaker, BreakerRule, State
from gateway.replicas import NoReplica, Replica, Replicas

RULE = BreakerRule(failures=1, open_s=10.0)


class Pool:
    def __init__(self, size: int) -> None:
        self.now_s = 0.0
        self.each = [
            Replica(
                f"http://10.0.0.{number}/v1",
                Breaker(RULE, now_s=lambda: self.now_s, jitter=lambda: 1.0),
            )
            for number in range(size)
        ]
        self.all = Replicas(self.each)

    def loads(self, *loads: int) -> None:
        for replica, load in zip(self.each, loads, strict=True):
            replica.in_flight = load


def key(number: int) -> bytes:
    return b"session %d" % number


def test_the_least_busy_one_is_asked() -> None:
    pool = Pool(3)
    pool.loads(2, 1, 3)

    assert pool.all.choose() is pool.each[1]


def test_equals_are_asked_in_turn() -> None:
    pool = Pool(3)

    assert Counter(pool.all.choose().base_url for _ in range(30)) == {
        each.base_url: 10 for each in pool.each
    }


def test_a_session_stays_with_its_replica_and_sessions_spread_over_all() -> None:
    pool = Pool(3)

    own = [pool.all.choose(key(number)) for number in range(300)]

    assert [pool.all.choose(key(number)) for number in range(300)] == own
    assert all(70 <= count <= 130 for count in Counter(each.base_url for each in own).values())


def test_the_order_of_the_config_does_not_matter_to_a_session() -> None:
    pool = Pool(4)
    turned = Replicas(pool.each[::-1])

    assert all(pool.all.choose(key(number)) is turned.choose(key(number)) for number in range(50))


def test_when_a_replica_falls_ill_only_its_own_sessions_move() -> None:
    pool = Pool(4)
    before = [pool.all.choose(key(number)) for number in range(200)]

    pool.each[2].breaker.failed()
    after = [pool.all.choose(key(number)) for number in range(200)]

    moved = [was for was, now in zip(before, after, strict=True) if was is not now]
    assert moved
    assert all(was is pool.each[2] for was in moved)


def test_a_session_leaves_a_replica_that_carries_far_more_than_its_share() -> None:
    pool = Pool(2)
    own = pool.all.choose(key(1))

    own.in_flight = 4
    assert pool.all.choose(key(1)) is own, "a few more are noise"
    own.in_flight = 20

    assert pool.all.choose(key(1)) is not own


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.binary(min_size=1, max_size=8))
def test_an_affinity_never_chooses_a_replica_beyond_the_bound(
    loads: list[int], affinity: bytes
) -> None:
    pool = Pool(len(loads))
    pool.loads(*loads)

    assert pool.all.choose(affinity).in_flight <= 1.25 * sum(loads) / len(loads) + 4


def test_a_second_attempt_goes_elsewhere_if_there_is_an_elsewhere() -> None:
    pool = Pool(2)
    first = pool.all.choose(key(1))

    assert pool.all.choose(key(1), first) is not first
    pool.each[1 - pool.each.index(first)].breaker.failed()
    assert not pool.all.another_than(first)
    assert pool.all.choose(key(1), first) is first


def test_a_replica_that_is_due_for_a_probe_gets_one_call_even_beside_a_healthy_one() -> None:
    pool = Pool(2)
    ill, well = pool.each
    ill.breaker.failed()

    assert pool.all.choose() is well
    pool.now_s = 10.0
    assert pool.all.choose() is ill
    ill.breaker.probe()
    assert pool.all.choose() is well


def test_a_second_attempt_is_no_probe_where_a_healthy_one_is_left() -> None:
    pool = Pool(3)
    pool.each[0].breaker.failed()
    pool.now_s = 10.0

    assert pool.all.choose(None, pool.each[1]) is pool.each[2]


@pytest.mark.parametrize("size", [1, 3])
def test_when_all_are_ill_the_call_fails_at_once_and_says_when_to_come_back(size: int) -> None:
    pool = Pool(size)
    for each in pool.each:
        each.breaker.failed()
        pool.now_s += 1.0

    with pytest.raises(NoReplica, match="circuit open, next probe in") as caught:
        pool.all.choose()

    assert caught.value.probe_in_s == 10.0 - size
    assert pool.all.circuit() is State.OPEN


def test_the_state_of_an_upstream_is_that_of_its_best_replica() -> None:
    pool = Pool(2)
    pool.each[0].breaker.failed()

    assert pool.all.circuit() is State.CLOSED
    pool.each[1].breaker.failed()
    pool.now_s = 10.0
    assert pool.all.circuit() is State.HALF_OPEN
