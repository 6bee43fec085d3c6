"""The promise, by Monte Carlo: it is broken in a share delta of the worlds at most."""

import numpy as np
import pytest

from router.interval import wilson_interval
from router.replay import replay
from router.thresholds import Bound, NoSafeThreshold, pick_threshold, plan, promise
from tests.router.worlds import Curve, World, by_gate, flat, late, sloping, uniform

RISK, DELTA, REPLICATES = 0.05, 0.1, 1000


def picked(world: World, seed: int, requests: int) -> float | None:
    """As `tutelage tune` goes about it: plan on a third, test on the rest."""
    random = np.random.default_rng(seed)
    planning = world.evidence(random, requests // 3)
    testing = world.evidence(random, requests - requests // 3)
    thresholds = plan(planning, int(testing.judged.sum()), max_risk=RISK, delta=DELTA)
    try:
        return pick_threshold(testing, thresholds, max_risk=RISK, delta=DELTA)
    except NoSafeThreshold:
        return None


@pytest.mark.parametrize(("propensity", "requests"), [(uniform, 900), (by_gate, 3000)])
@pytest.mark.parametrize("wrong", [sloping, flat, late])
@pytest.mark.timeout(900)
def test_the_promise_is_broken_in_a_share_delta_of_worlds_at_most(
    wrong: Curve, propensity: Curve, requests: int
) -> None:
    world = World(wrong, propensity)
    found = [picked(world, seed, requests) for seed in range(REPLICATES)]
    broken = sum(each is not None and world.risk(each) > RISK for each in found)
    rate = wilson_interval(broken / REPLICATES, REPLICATES)

    assert rate.estimate <= DELTA, f"broken in {rate}"
    if wrong is sloping:  # it is not all refusals
        assert sum(each is not None for each in found) > REPLICATES / 3


def test_the_naive_choice_breaks_it_in_every_third_world() -> None:
    """The most lenient threshold whose pairs differ seldom enough: why there is a test at all."""
    world, broken = World(sloping, uniform), 0
    for seed in range(200):
        evidence = world.evidence(np.random.default_rng(seed), 600)
        points = [replay(evidence, each) for each in np.linspace(0.98, 0.3, 30)]
        safe = [each for each in points if each.risk and each.risk.estimate <= RISK]
        broken += bool(safe) and world.risk(safe[-1].threshold) > RISK

    assert broken > 200 / 3


def test_a_stricter_wish_never_gets_a_more_lenient_threshold() -> None:
    evidence = World(sloping, uniform).evidence(np.random.default_rng(1), 8000)
    grid = np.linspace(0.95, 0.1, 40).tolist()
    wishes = [(0.05, 0.05), (0.05, 0.2), (0.06, 0.2), (0.09, 0.2)]
    thresholds = [
        pick_threshold(evidence, grid, max_risk=risk, delta=delta) for risk, delta in wishes
    ]

    assert thresholds == sorted(thresholds, reverse=True)


def test_the_bound_is_exact_where_all_were_drawn_alike_and_by_bets_elsewhere() -> None:
    random = np.random.default_rng(2)
    even = World(sloping, uniform).evidence(random, 3000)
    mixed = World(sloping, by_gate).evidence(random, 3000)

    assert promise(even, 0.7, max_risk=RISK, delta=DELTA).bound is Bound.BINOMIAL
    assert promise(mixed, 0.7, max_risk=RISK, delta=DELTA).bound is Bound.BETTING
    assert promise(mixed, 0.85, max_risk=RISK, delta=DELTA).bound is Bound.BINOMIAL


def test_what_was_picked_has_a_bound_below_the_risk_that_was_asked_for() -> None:
    for propensity in (uniform, by_gate):
        evidence = World(sloping, propensity).evidence(np.random.default_rng(3), 6000)
        found = pick_threshold(
            evidence, np.linspace(0.95, 0.1, 40).tolist(), max_risk=RISK, delta=DELTA
        )

        assert promise(evidence, found, max_risk=RISK, delta=DELTA).risk_bound <= RISK


def test_too_few_pairs_are_told_with_how_many_more_would_do() -> None:
    evidence = World(lambda c: 0.0 * c, uniform).evidence(np.random.default_rng(4), 60)

    with pytest.raises(NoSafeThreshold, match=r"about \d+ more judged pairs") as refusal:
        pick_threshold(evidence, [0.5], max_risk=0.02, delta=0.05)
    judged = int((evidence.served(0.5) & evidence.judged).sum())
    assert refusal.value.more_pairs == 149 - judged


def test_a_student_that_is_wrong_too_often_is_not_helped_by_more_pairs() -> None:
    evidence = World(lambda c: 0.0 * c + 0.3, uniform).evidence(np.random.default_rng(5), 3000)

    with pytest.raises(NoSafeThreshold, match="More pairs would not help") as refusal:
        pick_threshold(evidence, [0.8, 0.5], max_risk=0.02, delta=0.05)
    assert refusal.value.more_pairs is None


def test_without_a_judged_pair_shadowing_is_what_is_missing() -> None:
    world = World(sloping, lambda c: 0.0 * c)
    evidence = world.evidence(np.random.default_rng(6), 300)

    assert plan(evidence, 0, max_risk=RISK, delta=DELTA) == []
    with pytest.raises(NoSafeThreshold, match="shadow some"):
        pick_threshold(evidence, [], max_risk=RISK, delta=DELTA)


def test_a_replay_tells_coverage_and_risk_and_nothing_of_what_was_not_judged() -> None:
    evidence = World(sloping, by_gate).evidence(np.random.default_rng(7), 4000)
    point = replay(evidence, 0.7)

    assert point.coverage.estimate == pytest.approx(1 - 0.7**4, abs=0.02)
    assert point.risk is not None
    assert point.risk.lower < World(sloping, by_gate).risk(0.7) < point.risk.upper
    assert replay(evidence, 1.5).risk is None
