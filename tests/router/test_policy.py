import pytest

from router.policy import Mode, Pin, Plan, plan


@pytest.mark.parametrize("mode", Mode)
def test_without_a_pin_the_route_decides_and_the_other_model_may_step_in(mode: Mode) -> None:
    assert plan(mode, None) == Plan(mode, pinned=False, backup=True)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("pin", Pin)
def test_a_pin_means_that_model_or_none_whatever_the_route_says(mode: Mode, pin: Pin) -> None:
    planned = plan(mode, pin)

    assert planned == Plan(Mode(pin.value), pinned=True, backup=False)
