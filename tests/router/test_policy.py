import pytest

from router.policy import Mode, Pin, Plan, plan
from router.trace import Reason


@pytest.mark.parametrize("mode", Mode)
def test_without_a_pin_the_route_decides_and_the_other_model_may_step_in(mode: Mode) -> None:
    reason = Reason.SPECULATIVE if mode is Mode.SPECULATIVE else Reason.ROUTE_MODE

    assert plan(mode, None) == Plan(mode=mode, pinned=False, backup=True, reason=reason)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("pin", Pin)
def test_a_pin_means_that_model_or_none_whatever_the_route_says(mode: Mode, pin: Pin) -> None:
    planned = plan(mode, pin)

    assert planned == Plan(mode=Mode(pin.value), pinned=True, backup=False, reason=Reason.PINNED)


@pytest.mark.parametrize("mode", Mode)
def test_vectors_and_token_ids_are_one_models_own(mode: Mode) -> None:
    planned = plan(mode, None, generates=False, judgeable=False)

    assert planned.mode is (Mode.STUDENT if mode is Mode.STUDENT else Mode.TEACHER)
    assert not planned.backup


def test_what_the_gate_cannot_read_goes_to_the_teacher_at_once() -> None:
    planned = plan(Mode.CASCADE, None, judgeable=False)

    assert planned == Plan(mode=Mode.TEACHER, pinned=False, backup=True, reason=Reason.NO_SIGNAL)
    assert plan(Mode.STUDENT, None, judgeable=False).mode is Mode.STUDENT
