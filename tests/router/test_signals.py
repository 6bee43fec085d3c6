import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.signals import mean_probability, min_probability

logprobs = st.lists(st.floats(min_value=-60, max_value=0), min_size=1, max_size=20)


@given(logprobs)
def test_the_mean_probability_is_the_nth_root_of_the_product(values: list[float]) -> None:
    product = math.prod(math.exp(value / len(values)) for value in values)

    assert mean_probability(values) == pytest.approx(product, rel=1e-9)


@given(logprobs)
def test_the_minimum_is_the_least_probable_tokens(values: list[float]) -> None:
    assert min_probability(values) == min(math.exp(value) for value in values)


@pytest.mark.parametrize("signal", [mean_probability, min_probability])
@pytest.mark.parametrize(
    ("sent", "value"), [(1e-6, 1.0), (-math.inf, 0.0), (math.nan, 0.0), (-9999.0, 0.0)]
)
def test_a_signal_stays_a_probability_whatever_an_engine_sends(
    signal: Callable[[list[float]], float], sent: float, value: float
) -> None:
    assert signal([sent]) == value
    assert signal([-0.0, sent, 5.0]) <= 1.0
