"""Confidence after the commit: when it counts as fallen."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.collapse import CollapseRule, CollapseWatch
from router.gate import GateRule, Signal

GATE = GateRule(Signal.MEAN_PROBABILITY, 0.8, 4, None)
nats = st.lists(st.floats(-6.0, 0.0), max_size=30)
rules = st.builds(CollapseRule, st.floats(0.05, 1.0), st.integers(1, 9))


def watched(rule: CollapseRule, *, after: list[float], before: list[float] | None = None) -> bool:
    watch = CollapseWatch(rule, GATE)
    watch.committed(before or [])
    return watch.feed(after)


def test_it_falls_when_the_last_tokens_are_less_sure_than_the_share_of_the_threshold() -> None:
    rule = CollapseRule(below=0.5, window_tokens=2)  # exp(mean) < .4

    assert watched(rule, after=[0.0, 0.0, math.log(0.15)]) is True  # sqrt(.15) = .39
    assert watched(rule, after=[0.0, 0.0, math.log(0.17)]) is False


def test_a_window_that_is_not_full_says_nothing() -> None:
    rule = CollapseRule(below=1.0, window_tokens=3)

    assert watched(rule, after=[-9.0, -9.0]) is False
    assert watched(rule, before=[-9.0, -9.0], after=[-9.0]) is True


def test_what_the_gate_has_ruled_on_fills_the_window_and_does_not_fall() -> None:
    watch = CollapseWatch(CollapseRule(below=1.0, window_tokens=2), GATE)

    watch.committed([-9.0, -9.0, -9.0])

    assert not watch.collapsed
    assert watch.feed([]) is False


@given(rules, nats)
def test_token_by_token_is_the_same_as_all_at_once(rule: CollapseRule, after: list[float]) -> None:
    one_by_one = CollapseWatch(rule, GATE)
    for each in after:
        one_by_one.feed([each])

    assert one_by_one.collapsed is watched(rule, after=after)


@given(rules, nats, nats)
def test_what_has_fallen_stays_so(
    rule: CollapseRule, first: list[float], then: list[float]
) -> None:
    watch = CollapseWatch(rule, GATE)

    assert watch.feed(first) <= watch.feed(then)


@given(rules, st.floats(0.05, 1.0), nats)
def test_a_lower_share_never_falls_where_a_higher_one_does_not(
    rule: CollapseRule, other: float, after: list[float]
) -> None:
    low, high = sorted((rule.below, other))
    window = rule.window_tokens

    assert watched(CollapseRule(low, window), after=after) <= watched(
        CollapseRule(high, window), after=after
    )


@given(rules, st.lists(st.floats(math.log(0.8), 0.0), max_size=30))
def test_tokens_as_sure_as_the_threshold_never_fall(rule: CollapseRule, after: list[float]) -> None:
    assert watched(CollapseRule(rule.below * 0.999, rule.window_tokens), after=after) is False


@pytest.mark.parametrize(("below", "window"), [(0.0, 3), (1.1, 3), (math.nan, 3), (0.5, 0)])
def test_a_rule_that_means_nothing_is_refused(below: float, window: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        CollapseRule(below, window)
