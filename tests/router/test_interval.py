import pytest

from router.interval import wilson_interval


def test_wilson_matches_the_literature() -> None:
    """Newcombe (1998), table I: 81 of 263 is 0.2553 to 0.3662."""
    found = wilson_interval(81 / 263, 263)

    assert (found.lower, found.upper) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert found.estimate == 81 / 263


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_interval_stays_inside_the_unit_interval(share: float) -> None:
    found = wilson_interval(share, 20)

    assert 0 <= found.lower <= found.upper <= 1
    assert found.upper - found.lower > 0.1


def test_few_perfect_answers_promise_little() -> None:
    found = wilson_interval(1.0, 5)

    assert (round(found.lower, 3), found.upper) == (0.566, 1.0)


def test_it_reads_as_figures_are_stated() -> None:
    assert str(wilson_interval(0.8, 10)) == ".800 [.490, .943]"


def test_no_answers_have_no_share() -> None:
    with pytest.raises(ValueError, match="count must be positive"):
        wilson_interval(0.5, 0)
