"""The arithmetic of drafts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.break_even import alpha_of, break_even, speed_up, tokens_a_step

ALPHAS = st.floats(0.0, 1.0)
DRAFTED = st.integers(1, 8)


@given(ALPHAS, DRAFTED)
def test_alpha_is_found_again_in_what_a_step_brings(alpha: float, k: int) -> None:
    assert alpha_of(tokens_a_step(alpha, k), k) == pytest.approx(alpha, abs=1e-6)


@given(st.floats(0.01, 0.95), DRAFTED)
def test_where_a_draft_begins_to_pay_it_neither_gains_nor_loses(cost: float, k: int) -> None:
    found = break_even(1.0, k, cost)

    assert found.needed_alpha is not None
    assert speed_up(found.needed_alpha, k, cost) == pytest.approx(1.0)


def test_a_draft_as_slow_as_the_teacher_never_pays() -> None:
    found = break_even(5.0, 4, 1.0)

    assert (found.needed_alpha, found.alpha) == (None, 1.0)
    assert found.predicted == pytest.approx(1.0)


def test_a_good_cheap_draft_pays_and_longer_ones_would_pay_more() -> None:
    found = break_even(tokens_a_step(0.9, 2), 2, 0.05)

    assert found.predicted == pytest.approx((1 + 0.9 + 0.81) / 1.1)
    assert found.best_k == 8
    assert found.best_predicted > found.predicted
