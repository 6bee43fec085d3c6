"""Ranking and the deferral curve, against values worked out by hand."""

import numpy as np
import pytest

from router.deferral import (
    NoContrast,
    area_under_agreement,
    area_under_deferral,
    at_threshold,
    auroc,
    deferral_curve,
    share_of_oracle,
)

CONFIDENCE = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
STUDENT = np.array([True, True, False, True, False])
TEACHER = np.array([True, True, True, False, True])


def test_auroc_counts_pairs_and_halves_ties() -> None:
    assert auroc(CONFIDENCE, STUDENT) == pytest.approx(5 / 6)
    assert auroc(np.array([0.5, 0.5]), np.array([True, False])) == 0.5


def test_auroc_of_noise_is_a_half_and_of_the_truth_is_one() -> None:
    dice = np.random.default_rng(0)
    right = dice.random(4000) < 0.7
    assert auroc(dice.random(4000), right) == pytest.approx(0.5, abs=0.03)
    assert auroc(right.astype(float), right) == 1.0


def test_auroc_needs_both_kinds() -> None:
    with pytest.raises(NoContrast):
        auroc(CONFIDENCE, np.ones(5, dtype=bool))


def test_a_threshold_splits_requests_between_the_models() -> None:
    point = at_threshold(CONFIDENCE, STUDENT, TEACHER, 0.65)
    assert point.coverage == pytest.approx(0.6)
    assert point.accuracy == pytest.approx(3 / 5)
    assert point.selective_accuracy == pytest.approx(2 / 3)


def test_a_threshold_nobody_reaches_leaves_all_to_the_teacher() -> None:
    point = at_threshold(CONFIDENCE, STUDENT, TEACHER, 1.0)
    assert point.coverage == 0
    assert point.accuracy == pytest.approx(0.8)
    assert np.isnan(point.selective_accuracy)


def test_the_curve_runs_from_the_student_alone_to_the_teacher_alone() -> None:
    curve = deferral_curve(CONFIDENCE, STUDENT, TEACHER, [0.0, 0.4, 1.0])
    assert [point.coverage for point in curve] == pytest.approx([1.0, 0.6, 0.0])
    assert [point.accuracy for point in curve] == pytest.approx([0.6, 0.6, 0.8])


def test_requests_of_equal_confidence_stay_together() -> None:
    same = np.full(5, 0.5)
    assert deferral_curve(same, STUDENT, TEACHER, [0.5])[0].coverage == 1.0


def test_the_area_of_a_straight_curve_is_its_middle() -> None:
    curve = deferral_curve(CONFIDENCE, STUDENT, TEACHER, [0.0, 1.0])
    assert area_under_deferral(curve) == pytest.approx((0.6 + 0.8) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_that_under_the_curve_of_one_deferral_after_another(seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence = random.random(4000)
    agrees = random.random(4000) < confidence**0.3
    wrong = ~agrees[np.argsort(confidence)]
    left = (wrong.sum() - np.concatenate([[0], np.cumsum(wrong)])) / len(agrees)
    drawn = float(np.trapezoid(1.0 - left, dx=1 / len(agrees)))

    assert area_under_agreement(confidence, agrees) == pytest.approx(drawn, abs=1e-9)


def test_an_oracle_gains_all_and_a_constant_nothing() -> None:
    agrees = np.array([True, True, True, False])

    assert share_of_oracle(agrees.astype(float), agrees) == 1.0
    assert share_of_oracle(np.ones(4), agrees) == 0.0
    assert area_under_agreement(np.ones(4), agrees) == pytest.approx(1 - 0.25 / 2)
    assert area_under_agreement(agrees.astype(float), agrees) == pytest.approx(1 - 0.25**2 / 2)
