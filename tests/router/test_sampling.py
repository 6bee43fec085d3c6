import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.fidelity import estimate_fidelity
from router.sampling import Sampler, is_sampled, propensity_of
from router.trace import new_trace_id

MANY = 20_000
ids = [new_trace_id(1_800_000_000 + n / 1000, n.to_bytes(10)) for n in range(MANY)]
rates = st.floats(min_value=0, max_value=1)


def share(rate: float, salt: str = "triage") -> float:
    return sum(is_sampled(trace_id, rate, salt) for trace_id in ids) / MANY


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.5, 0.9])
def test_the_sampled_share_is_the_rate(rate: float) -> None:
    assert share(rate) == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / MANY))


def test_everything_is_sampled_at_one_and_nothing_at_zero() -> None:
    assert share(1.0) == 1.0
    assert share(0.0) == 0.0


@given(st.sampled_from(ids), rates, rates)
def test_a_higher_rate_keeps_what_a_lower_one_took(trace_id: str, a: float, b: float) -> None:
    low, high = sorted((a, b))
    if is_sampled(trace_id, low, "triage"):
        assert is_sampled(trace_id, high, "triage")


def test_two_salts_draw_independently() -> None:
    both = sum(is_sampled(each, 0.2, "a") and is_sampled(each, 0.2, "b") for each in ids) / MANY

    assert both == pytest.approx(0.04, abs=4 * math.sqrt(0.04 * 0.96 / MANY))


def test_a_replica_of_another_day_draws_the_same() -> None:
    """Frozen: a changed hash would make replicas of two versions disagree during a rollout."""
    assert [n for n in range(100) if is_sampled(ids[n], 0.05, "triage")] == [
        9,
        16,
        32,
        49,
        64,
        68,
        73,
        79,
    ]


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_a_rate_that_is_no_probability_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\]"):
        is_sampled(ids[0], rate, "triage")


def near(confidence: float | None, *, threshold: float = 0.8) -> float:
    return propensity_of(
        Sampler.NEAR_THRESHOLD, confidence, threshold=threshold, rate=0.5, floor=0.1
    )


def test_near_the_threshold_more_is_drawn_and_nowhere_less_than_the_floor() -> None:
    assert [near(each) for each in (0.8, 0.4, 0.0, 1.0)] == pytest.approx([0.5, 0.3, 0.1, 0.4])
    assert near(1.0, threshold=0.2) == pytest.approx(0.1)
    assert near(None) == 0.5
    assert propensity_of(Sampler.UNIFORM, 0.1, threshold=0.8, rate=0.5, floor=0.1) == 0.5
    assert propensity_of(Sampler.NEAR_THRESHOLD, 0.1, threshold=0.8, rate=0.05, floor=0.1) == 0.05


def test_fidelity_is_unbiased_and_its_interval_honest_whichever_was_drawn() -> None:
    """1,000 replicates of 800 requests, agreement as likely as confident: four fifths."""
    random = np.random.default_rng(0)
    estimates, covered = [], 0
    for _ in range(1000):
        confidence = random.beta(4, 1, 800)
        agrees = random.random(800) < confidence
        drawn = np.array([near(each) for each in confidence.tolist()])
        taken = random.random(800) < drawn
        found = estimate_fidelity(
            zip(agrees[taken].astype(float).tolist(), drawn[taken].tolist(), strict=True)
        )
        assert found is not None
        estimates.append(found.estimate)
        covered += found.low <= 0.8 <= found.high

    assert np.mean(estimates) == pytest.approx(
        0.8, abs=3 * float(np.std(estimates)) / math.sqrt(1000)
    )
    assert covered >= 940
