import numpy as np
import pytest

from router.deferral import Floats
from router.interval import wilson_interval
from router.sequential import Verdict, bounds, contest, log_capital, pair_up
from tests.router.recorded import traffic

ALPHA = 0.05
REPLICATES = 1000
PAIRS = 800


def worlds(incumbent: float, candidate: float, *, seed: int) -> Floats:
    """Replicates x pairs: each arm agrees with the teacher in so many of its own requests."""
    random = np.random.default_rng(seed)
    ours = random.random((REPLICATES, PAIRS)) < candidate
    theirs = random.random((REPLICATES, PAIRS)) < incumbent
    return ours.astype(float) - theirs


def ever(differences: Floats, mean: float, *, up: bool) -> float:
    """In what share of the replicates somebody who looks after every pair sees the bet won."""
    capital = log_capital(differences, mean, up=up)
    return float((capital.max(axis=-1) >= -np.log(ALPHA)).mean())


@pytest.mark.parametrize("level", [0.6, 0.85, 0.99])
def test_an_equal_candidate_is_seldom_called_worse_however_often_one_looks(level: float) -> None:
    found = ever(worlds(level, level, seed=1), 0.0, up=False)

    assert wilson_interval(found, REPLICATES).lower <= ALPHA
    assert found < ALPHA


@pytest.mark.parametrize("level", [0.6, 0.85, 0.99])
def test_a_candidate_worse_by_the_margin_is_seldom_called_a_success(level: float) -> None:
    found = ever(worlds(level, level - 0.05, seed=2), -0.05, up=True)

    assert wilson_interval(found, REPLICATES).lower <= ALPHA
    assert found < ALPHA


def test_its_power_is_as_the_readme_states() -> None:
    harm = [ever(worlds(0.85, 0.85 - by, seed=3), 0.0, up=False) for by in (0.05, 0.1, 0.2)]
    success = [ever(worlds(0.85, 0.85 + by, seed=4), -0.05, up=True) for by in (0.0, 0.05)]

    assert harm == pytest.approx([0.53, 0.99, 1.0], abs=0.05)
    assert success == pytest.approx([0.53, 0.99], abs=0.05)


def test_the_bounds_hold_at_every_look_at_once() -> None:
    """What was refuted once stays refuted, so the last bounds are those of all looks."""
    found = [bounds(each[:400], ALPHA) for each in worlds(0.85, 0.75, seed=5)[:300]]
    missed = sum(not each.lower <= -0.1 <= each.upper for each in found) / len(found)

    assert wilson_interval(missed, len(found)).lower <= ALPHA
    assert np.mean([each.upper - each.lower for each in found]) < 0.25


def test_the_first_verdict_stands_and_says_when_it_fell() -> None:
    worse = np.array([-1.0, 0.0] * 40)
    found = contest(np.concatenate([worse, -worse, -worse, -worse]), margin=0.05, alpha=ALPHA)

    assert found.verdict is Verdict.HARM
    assert found.at < len(worse)
    assert found.difference.estimate > 0
    assert found.more_pairs is None


def test_where_nothing_is_sure_yet_it_says_how_many_more_pairs_would_do() -> None:
    same = np.tile([0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0], 12)
    found = contest(same, margin=0.05, alpha=ALPHA)
    assert found.verdict is Verdict.UNDECIDED
    assert found.more_pairs is not None
    later = contest(np.tile(same, 1 + found.more_pairs // len(same) * 2), margin=0.05, alpha=ALPHA)

    assert later.verdict is Verdict.SUCCESS
    assert contest(np.array([]), margin=0.05, alpha=ALPHA).difference.upper == 1.0


def test_arms_that_are_judged_at_other_rates_are_evened_out() -> None:
    """The same student in both arms; deferrals, in which it is worse, are all judged."""
    often, seldom = traffic(4000, seed=1, rate=0.9), traffic(4000, seed=2, rate=0.3)
    differences = pair_up(often, seldom, "label")

    assert len(differences) > 500
    assert abs(differences.mean()) < 0.05


def test_a_margin_and_an_alpha_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"margin must be in \[0, 1\)"):
        contest(np.array([0.0]), margin=1.0, alpha=ALPHA)
