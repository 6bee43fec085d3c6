import numpy as np
import pytest

from router.deferral import Floats
from router.reliability import brier, calibration_error, log_loss, reliability

ONES = np.ones(4)


def coins(confidence: Floats, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    return (random.random(len(confidence)) < confidence).astype(float)


def test_a_bin_holds_answers_of_similar_confidence() -> None:
    low, high = reliability(
        np.array([0.9, 0.1, 0.7, 0.3]), np.array([1.0, 0.0, 1.0, 1.0]), ONES, bins=2
    )

    assert (low.confidence, low.agreed.estimate, low.mass) == (0.2, 0.5, 0.5)
    assert (high.confidence, high.agreed.estimate, high.effective) == pytest.approx((0.8, 1.0, 2.0))


def test_equal_confidences_share_a_bin() -> None:
    (only,) = reliability(np.full(4, 0.5), np.array([1.0, 0.0, 0.0, 0.0]), ONES)

    assert only.agreed.estimate == 0.25


def test_a_pair_that_stands_for_three_weighs_three_times() -> None:
    confidence, agreement = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    (only,) = reliability(confidence, agreement, np.array([3.0, 1.0]))

    assert only.agreed.estimate == 0.75
    assert brier(np.array([1.0, 1.0]), agreement, np.array([3.0, 1.0])) == 0.25


def test_of_honest_forecasts_the_error_is_nearly_none_where_the_plain_one_is_not() -> None:
    confidence = np.random.default_rng(0).uniform(0.5, 1.0, (200, 300))
    plain, debiased = [], []
    for number, row in enumerate(confidence):
        bins = reliability(row, coins(row, number), np.ones(len(row)))
        plain.append(sum(b.mass * abs(b.confidence - b.agreed.estimate) for b in bins))
        debiased.append(calibration_error(bins))

    assert np.mean(plain) > 0.05
    assert np.mean(debiased) < np.mean(plain) / 2


def test_a_constant_excess_of_confidence_is_the_error() -> None:
    truth = np.random.default_rng(1).uniform(0.2, 0.8, 20_000)
    bins = reliability(truth + 0.2, coins(truth, 2), np.ones(len(truth)))

    assert calibration_error(bins) == pytest.approx(0.2, abs=0.01)


def test_log_loss_is_finite_for_those_who_were_certain_and_wrong() -> None:
    assert 20 < log_loss(np.array([1.0]), np.array([0.0]), np.ones(1)) < 30
