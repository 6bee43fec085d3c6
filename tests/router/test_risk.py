import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.risk import (
    betting_p_value,
    betting_upper_bound,
    binomial_p_value,
    binomial_upper_bound,
    divergence,
    least_pairs,
)

shares = st.floats(min_value=0.001, max_value=0.999)


@given(st.integers(1, 60), st.integers(0, 60), shares)
def test_the_binomial_p_value_is_the_sum_of_the_terms(judged: int, wrong: int, risk: float) -> None:
    wrong = min(wrong, judged)
    terms = (math.comb(judged, k) * risk**k * (1 - risk) ** (judged - k) for k in range(wrong + 1))

    assert binomial_p_value(wrong, judged, risk) == pytest.approx(math.fsum(terms), rel=1e-9)


def test_a_hundred_thousand_pairs_do_not_underflow() -> None:
    assert binomial_p_value(900, 100_000, 0.01) == pytest.approx(0.0007, abs=0.0002)
    assert binomial_p_value(0, 100_000, 0.5) == 0.0


def test_three_by_the_number_of_pairs_is_the_bound_without_an_error() -> None:
    assert binomial_upper_bound(0, 300, 0.05) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert binomial_upper_bound(0, 300, 0.05) == pytest.approx(3 / 300, rel=0.01)


@given(st.integers(1, 200), st.integers(0, 199), st.floats(min_value=0.01, max_value=0.5))
def test_the_bound_is_where_the_test_begins_to_reject(
    judged: int, wrong: int, delta: float
) -> None:
    wrong = min(wrong, judged - 1)
    bound = binomial_upper_bound(wrong, judged, delta)

    assert binomial_p_value(wrong, judged, bound) == pytest.approx(delta, rel=1e-6)


def test_bets_need_more_pairs_than_the_exact_test_but_not_twice_as_many() -> None:
    loss = np.concatenate([np.ones(4), np.zeros(396)])
    exact = binomial_upper_bound(4, 400, 0.05)
    bet = betting_upper_bound(loss, np.full(400, 0.05), 0.05, 0.05)

    assert exact < bet < 1.6 * exact


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0]), shares), min_size=1, max_size=20))
def test_bets_do_not_depend_on_the_order(pairs: list[tuple[float, float]]) -> None:
    loss, propensity = (np.array(column) for column in zip(*pairs, strict=True))
    floor = float(propensity.min())

    assert betting_p_value(loss, propensity, floor, 0.1) == pytest.approx(
        betting_p_value(loss[::-1], propensity[::-1], floor, 0.1)
    )


def test_a_pair_that_stands_for_twenty_counts_twenty_times() -> None:
    """Its loss: one in a hundred agreements of propensity 1, for each of propensity 0.05."""
    often, rare = np.ones(100), np.full(100, 0.05)
    loss = np.zeros(200)
    loss[150] = 1.0  # of a rare one
    heavy = betting_upper_bound(loss, np.concatenate([often, rare]), 0.05, 0.1)
    light = betting_upper_bound(loss[::-1], np.concatenate([often, rare]), 0.05, 0.1)

    assert heavy > light


def test_a_propensity_below_the_floor_is_refused() -> None:
    with pytest.raises(ValueError, match="below the floor"):
        betting_p_value(np.zeros(1), np.array([0.04]), 0.05, 0.1)


def test_so_many_pairs_would_do_and_for_a_student_that_is_too_often_wrong_none() -> None:
    enough = least_pairs(0.01, 0.02, 0.05)

    assert enough is not None
    assert binomial_p_value(math.floor(enough * 0.01), enough, 0.02) <= 0.05
    assert least_pairs(0.0, 0.02, 0.05) == 149
    assert least_pairs(0.02, 0.02, 0.05) is None
    assert divergence(0.0, 0.5) == divergence(1.0, 0.5) == pytest.approx(math.log(2))
