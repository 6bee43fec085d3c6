import pytest

from router.cost import Price, cost_usd, saved_usd
from router.trace import Usage

STUDENT, TEACHER = Price(0.02, 0.04), Price(1.0, 4.0)
USAGE = Usage(prompt_tokens=1000, completion_tokens=500, cached_tokens=800)


def test_prices_are_per_million_tokens() -> None:
    assert cost_usd(USAGE, TEACHER) == pytest.approx(0.001 + 0.002)


def test_what_the_student_serves_saves_the_teachers_price_minus_its_own() -> None:
    spent = cost_usd(USAGE, STUDENT)

    assert saved_usd(USAGE, TEACHER, spent) == pytest.approx(0.003 - 0.00004)


def test_a_deferral_loses_what_the_draft_cost() -> None:
    draft = cost_usd(Usage(1000, 24), STUDENT)

    assert saved_usd(USAGE, TEACHER, draft + cost_usd(USAGE, TEACHER)) == pytest.approx(-draft)


def test_the_teacher_alone_saves_nothing() -> None:
    assert saved_usd(USAGE, TEACHER, cost_usd(USAGE, TEACHER)) == 0.0
