"""A replica that keeps failing is left alone, asked once in a while, and trusted again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.breaker import Breaker, BreakerRule, State

RULE = BreakerRule(failures=3, share=0.5, window=10, open_s=1.0, max_open_s=8.0, forget_s=60.0)


class Bench:
    """A breaker, its time, and no chance in it: it stays open for the whole of its time."""

    def __init__(self, rule: BreakerRule = RULE, jitter: float = 1.0) -> None:
        self.now_s = 0.0
        self.breaker = Breaker(rule, now_s=lambda: self.now_s, jitter=lambda: jitter)

    def state(self) -> State:
        return self.breaker.state

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed()

    def probe(self, *, well: bool) -> None:
        """Wait until a probe is due, and make it."""
        self.now_s += self.breaker.probe_in_s()
        assert self.breaker.probe_is_due()
        probe = self.breaker.probe()
        if well:
            self.breaker.succeeded(probe)
        else:
            self.breaker.failed(probe)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    on = Bench()

    on.fail(2)
    assert on.state() is State.CLOSED
    on.fail()

    assert on.state() is State.OPEN
    assert on.breaker.probe_in_s() == 1.0


def test_a_success_in_between_starts_the_count_anew() -> None:
    on = Bench()

    on.fail(2)
    on.breaker.succeeded()
    on.fail(2)

    assert on.state() is State.CLOSED


def test_it_opens_when_every_other_call_fails_even_if_no_two_do_in_a_row() -> None:
    on = Bench()

    for _ in range(4):
        on.fail()
        on.breaker.succeeded()
    assert on.state() is State.CLOSED
    on.fail()

    assert on.state() is State.OPEN


def test_failures_count_however_slowly_they_come() -> None:
    on = Bench()

    for _ in range(3):
        on.now_s += 301  # one timeout after the other
        on.fail()

    assert on.state() is State.OPEN


def test_when_its_time_is_over_one_probe_is_made_and_a_success_closes_it() -> None:
    on = Bench()
    on.fail(3)
    on.now_s = 1.0

    assert on.state() is State.HALF_OPEN
    assert on.breaker.probe_is_due()
    probe = on.breaker.probe()
    assert not on.breaker.probe_is_due(), "one at a time"
    on.breaker.succeeded(probe)

    assert on.state() is State.CLOSED


def test_each_failed_probe_doubles_the_time_up_to_a_limit() -> None:
    on = Bench()
    on.fail(3)
    waits = [on.breaker.probe_in_s()]

    for _ in range(5):
        on.probe(well=False)
        waits.append(on.breaker.probe_in_s())

    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_chance_shortens_the_time_by_half_at_most() -> None:
    on = Bench(jitter=0.0)

    on.fail(3)

    assert on.breaker.probe_in_s() == 0.5


def test_one_that_flaps_is_left_alone_for_longer_each_time() -> None:
    on = Bench()

    on.fail(3)
    on.probe(well=True)
    on.now_s += 5
    on.fail(3)

    assert on.breaker.probe_in_s() == 2.0


def test_one_that_was_well_for_long_starts_over() -> None:
    on = Bench()

    on.fail(3)
    on.probe(well=True)
    on.now_s += 61
    on.fail(3)

    assert on.breaker.probe_in_s() == 1.0


def test_a_client_that_leaves_during_the_probe_says_nothing_and_the_next_call_probes() -> None:
    on = Bench()
    on.fail(3)
    on.now_s = 1.0

    on.breaker.left(on.breaker.probe())

    assert on.state() is State.HALF_OPEN
    assert on.breaker.probe_is_due()


def test_calls_from_before_it_opened_have_no_say() -> None:
    on = Bench()
    on.fail(3)
    on.now_s = 1.0
    probe = on.breaker.probe()

    on.breaker.succeeded()
    on.breaker.failed()
    on.breaker.left()

    assert on.state() is State.HALF_OPEN
    assert not on.breaker.probe_is_due(), "the probe is still under way"
    on.breaker.succeeded(probe)
    assert on.state() is State.CLOSED


ACTS = st.sampled_from(["begin", "well", "ill", "left", "wait"])


@given(st.lists(st.tuples(ACTS, st.integers(0, 5)), max_size=200))
def test_whatever_happens_there_is_at_most_one_probe_and_a_way_back(
    acts: list[tuple[str, int]],
) -> None:
    on = Bench(BreakerRule(failures=2, share=0.9, window=4, open_s=1.0, max_open_s=4.0))
    under_way: list[int] = []
    probe = 0
    for act, which in acts:
        match act:
            case "wait":
                on.now_s += which / 2
            case "begin" if on.breaker.closed:
                under_way.append(0)
            case "begin" if on.breaker.probe_is_due():
                assert probe not in under_way or not probe
                probe = on.breaker.probe()
                under_way.append(probe)
            case "well" | "ill" | "left" if under_way:
                call = under_way.pop(which % len(under_way))
                report = {
                    "well": on.breaker.succeeded,
                    "ill": on.breaker.failed,
                    "left": on.breaker.left,
                }[act]
                report(call)
        assert on.breaker.probe_in_s() <= 4.0

    for call in under_way:
        on.breaker.left(call)
    if not on.breaker.closed:
        on.probe(well=True)
    assert on.breaker.closed


@pytest.mark.parametrize("successes", [0, 1, 50])
def test_a_replica_that_never_fails_is_never_left_alone(successes: int) -> None:
    on = Bench()

    for _ in range(successes):
        on.breaker.succeeded()

    assert on.state() is State.CLOSED
    assert not on.breaker.probe_is_due()
