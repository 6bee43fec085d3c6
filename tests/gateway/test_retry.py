"""Retries wait, wait longer, wait as they are told, and stop when there are too many of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.retry import RetryBudget, pause_s, retry_after_s

NOON = 1_800_000_000.0 - 1_800_000_000.0 % 86_400 + 43_200


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("999999", 3600.0),
        (None, None),
        ("", None),
        (" ", None),
        ("soon", None),
        ("-4", None),
        ("1e400x", None),
        ("nan", None),
    ],
)
def test_a_retry_after_of_seconds_is_read(header: str | None, expected_s: float | None) -> None:
    assert retry_after_s(header, NOON) == expected_s


def test_a_retry_after_that_is_a_date_counts_from_now() -> None:
    now = 784_111_767.0  # ten seconds before RFC 9110's example

    assert retry_after_s("Sun, 06 Nov 1994 08:49:37 GMT", now) == 10.0
    assert retry_after_s("Sun, 06 Nov 1994 08:49:27 GMT", now) == 0.0
    assert retry_after_s("Sun, 06 Nov 1994", now) is None


@given(st.text(max_size=40))
def test_no_retry_after_header_breaks_anything(header: str) -> None:
    found = retry_after_s(header, NOON)

    assert found is None or 0.0 <= found <= 3600.0


@given(st.integers(0, 30), st.floats(0, 1, exclude_max=True))
def test_a_pause_doubles_is_at_least_half_of_that_and_is_bounded(
    attempt: int, jitter: float
) -> None:
    longest = min(0.05 * 2**attempt, 2.0)
    pause = pause_s(attempt, jitter)

    assert pause is not None
    assert longest / 2 <= pause <= longest


def test_a_told_time_is_kept_unless_it_is_too_long_or_another_replica_is_asked() -> None:
    assert pause_s(0, 0.0, told_s=1.5) == 1.5
    assert pause_s(5, 0.0, told_s=0.1) == pytest.approx(0.8)
    assert pause_s(0, 0.0, told_s=30.0) is None
    assert pause_s(0, 0.0, told_s=30.0, elsewhere=True) == 0.025


@given(st.lists(st.integers(0, 5), max_size=100), st.floats(0, 1))
def test_retries_never_exceed_their_share_of_the_calls(wishes: list[int], share: float) -> None:
    budget = RetryBudget(share=share, burst=3.0, saved=3.0)
    retries = 0
    for calls, wished in enumerate(wishes, 1):
        budget.earn()
        retries += sum(budget.spend() for _ in range(wished))
        assert retries <= 3.0 + share * calls + 1e-6


def test_a_budget_that_is_spent_comes_back_with_calls() -> None:
    budget = RetryBudget(share=0.25, burst=1.0, saved=1.0)
    assert budget.spend()
    assert not budget.spend()

    for _ in range(4):
        budget.earn()

    assert budget.spend()
