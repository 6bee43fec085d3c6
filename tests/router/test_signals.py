import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.gate import AnswerGate, GateRule, Signal
from router.signals import LOWEST_NATS, mean_probability, min_probability, read_signals

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


def test_quantiles_are_the_least_values_that_so_many_tokens_do_not_exceed() -> None:
    signals = read_signals([-float(each) for each in range(1, 21)])

    assert (signals.q10_nats, signals.q25_nats, signals.q50_nats) == (-19.0, -16.0, -11.0)
    assert (signals.deciding, signals.mean_nats, signals.min_nats) == (20, -10.5, -20.0)
    assert (signals.first_nats, signals.doubtful) == (-1.0, 1.0)


def test_a_token_with_more_than_half_of_the_probability_is_not_doubtful() -> None:
    signals = read_signals([math.log(0.51), math.log(0.49), math.log(0.9), math.log(0.2)])

    assert signals.doubtful == 0.5


@given(st.lists(st.floats(min_value=LOWEST_NATS, max_value=0), min_size=1))
def test_the_summary_says_the_same_as_the_signals_that_gates_rule_by(values: list[float]) -> None:
    signals = read_signals(values)

    assert math.exp(signals.min_nats) == pytest.approx(min_probability(values), abs=1e-15)
    assert math.exp(signals.mean_nats) == pytest.approx(mean_probability(values), abs=1e-15)


@given(logprobs)
def test_quantiles_stand_in_order_between_the_least_and_the_greatest(values: list[float]) -> None:
    s = read_signals(values)

    assert s.min_nats <= s.q10_nats <= s.q25_nats <= s.q50_nats <= max(s.first_nats, *values)


@pytest.mark.parametrize("sent", [-math.inf, math.nan, -9999.0])
@pytest.mark.parametrize("others", [[], [-0.5]])
def test_what_json_cannot_say_is_bounded(sent: float, others: list[float]) -> None:
    signals = read_signals([sent, *others])

    assert signals.min_nats == signals.first_nats == LOWEST_NATS


def test_a_gate_sums_up_the_deciding_tokens_up_to_its_ruling() -> None:
    gate = AnswerGate(GateRule(Signal.MEAN_PROBABILITY, 0.5, 99, "label"), 1)
    tokens = [(b'{"label":"', -3.0), (b"pos", -0.2), (b'","', -3.0), (b"more", -3.0)]
    gate.feed_all(0, tokens)

    assert gate.signals == read_signals([-0.2])


def test_a_gate_without_a_deciding_token_has_no_signals() -> None:
    gate = AnswerGate(GateRule(Signal.MEAN_PROBABILITY, 0.5, None, "label"), 1)
    gate.feed(0, b'{"other":1}', -0.2)
    gate.finish()

    assert gate.signals is None


def test_of_several_choices_the_least_confident_ones_signals_count() -> None:
    gate = AnswerGate(GateRule(Signal.MEAN_PROBABILITY, 0.5, None, None), 2)
    gate.feed(0, b"sure", -0.01)
    gate.feed(1, b"unsure", -4.0)
    gate.finish()

    assert gate.signals == read_signals([-4.0])
