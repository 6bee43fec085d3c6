"""The rule over intervals: when a candidate replaces the incumbent, and what it says if not."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.exam import Compared
from distill.promotion import Decision, PromotionRules, decide
from router.interval import Interval

RULES = PromotionRules()
SIZES = (100, 100)


def compared(gap: float, half: float = 0.005, *, p: float | None = None) -> Compared:
    """A difference and how far its interval goes to either side."""
    mine = Interval(0.8 + gap, 0.78 + gap, 0.82 + gap)
    return Compared(mine, Interval(0.8, 0.78, 0.82), Interval(gap, gap - half, gap + half), p)


BETTER = {
    "accuracy": compared(0.02, p=0.001),
    "fidelity": compared(0.03, p=0.0001),
    "validity": compared(0.0),
    "auroc": compared(0.0),
    "calibration_error": compared(0.0),
    "coverage": compared(0.05),
    "median_seconds": compared(0.0),
}


def decided(**changes: Compared | None) -> Decision:
    figures = {name: each for name, each in (BETTER | changes).items() if each is not None}
    return decide(figures, SIZES, 0.57, RULES)


def test_better_and_nowhere_worse_is_promoted_and_says_at_what() -> None:
    decision = decided()

    assert decision.promoted
    assert len(decision.reasons) == 2
    assert all("better" in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"accuracy": compared(0.0, half=0.02, p=0.9)}, "accuracy: .* may be worse by more than"),
        ({"validity": compared(-0.02)}, "validity: .* may be worse"),
        ({"calibration_error": compared(0.04)}, "calibration_error: .* may be worse"),
        ({"auroc": compared(-0.05)}, "auroc: .* may be worse"),
        ({"coverage": compared(-0.2)}, "coverage: .* may be worse"),
        ({"median_seconds": compared(0.4)}, "median_seconds"),
        ({"auroc": None}, "auroc: cannot be taken"),
        ({"median_seconds": None}, "median_seconds: cannot be taken"),
    ],
)
def test_worse_somewhere_that_matters_is_refused_by_name(
    changes: dict[str, Compared | None], why: str
) -> None:
    decision = decided(**changes)

    assert not decision.promoted
    (reason,) = decision.reasons
    assert re.search(why, reason)


def test_a_lower_calibration_error_is_not_worse() -> None:
    assert decided(calibration_error=compared(-0.2)).promoted


def test_as_good_but_not_surely_better_is_refused() -> None:
    decision = decided(accuracy=compared(0.0, p=0.8), fidelity=compared(0.004, p=0.2))

    assert not decision.promoted
    assert [reason.split(":")[0] for reason in decision.reasons] == ["fidelity", "accuracy"]


def test_one_of_two_figures_has_to_beat_the_corrected_level() -> None:
    either = {"accuracy": compared(0.0, p=0.8)}

    assert decided(**either, fidelity=compared(0.01, p=0.024)).promoted
    assert not decided(**either, fidelity=compared(0.01, p=0.026)).promoted


def test_a_surely_different_student_that_is_worse_is_not_better() -> None:
    assert not decided(
        accuracy=compared(-0.004, p=0.001), fidelity=compared(-0.004, p=0.001)
    ).promoted


def test_without_labels_by_people_accuracy_is_not_asked_for() -> None:
    assert decided(accuracy=None).promoted


def test_a_larger_file_or_no_threshold_is_refused() -> None:
    assert not decide(BETTER, (120, 100), 0.57, RULES).promoted
    assert not decide(BETTER, SIZES, None, RULES).promoted


@given(st.floats(-0.1, 0.1), st.floats(0.0, 0.1), st.floats(0.001, 1.0))
def test_a_wider_interval_never_turns_a_refusal_into_a_promotion(
    gap: float, half: float, p: float
) -> None:
    narrow = decided(fidelity=compared(gap, half, p=p))
    wide = decided(fidelity=compared(gap, half + 0.02, p=p))

    assert narrow.promoted or not wide.promoted
