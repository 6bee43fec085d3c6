import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.fidelity import estimate_fidelity
from router.interval import wilson_interval

pairs = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.floats(min_value=0.01, max_value=1)), min_size=1
)


def test_without_pairs_there_is_no_estimate() -> None:
    assert estimate_fidelity([]) is None


def test_equal_propensities_weigh_nothing() -> None:
    found = estimate_fidelity([(1.0, 0.05)] * 9 + [(0.0, 0.05)])

    assert found is not None
    assert found.judged == 10
    assert found.estimate == pytest.approx(0.9)
    expected = wilson_interval(0.9, 10)
    assert (found.low, found.high) == pytest.approx((expected.lower, expected.upper))


def test_a_rarely_drawn_pair_stands_for_many() -> None:
    found = estimate_fidelity([(1.0, 0.1), (0.0, 0.9)])

    assert found is not None
    assert found.estimate == pytest.approx(10 / (10 + 1 / 0.9))


def test_a_biased_sample_is_weighed_back() -> None:
    """Disagreement is drawn ten times as often, but not believed ten times as common."""
    draw = random.Random(7)
    truth, drawn = 0.9, []
    for _ in range(20_000):
        agrees = draw.random() < truth
        propensity = 0.05 if agrees else 0.5
        if draw.random() < propensity:
            drawn.append((float(agrees), propensity))
    found = estimate_fidelity(drawn)

    assert found is not None
    assert found.low < truth < found.high
    assert found.estimate == pytest.approx(truth, abs=0.02)


@given(pairs)
def test_the_interval_holds_the_estimate_and_stays_in_range(
    judged: list[tuple[float, float]],
) -> None:
    found = estimate_fidelity(judged)

    assert found is not None
    assert 0.0 <= found.low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.high <= 1.0


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="propensity must be in"):
        estimate_fidelity([(1.0, 0.0)])
