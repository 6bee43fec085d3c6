import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.scoreboard import Column, Share, percentile


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    share = Share(*counts)
    low, high = share.interval
    assert 0.0 <= low <= share.value + 1e-12
    assert share.value - 1e-12 <= high <= 1.0


def test_nothing_asked_is_nothing_known() -> None:
    assert Share(0, 0).interval == (0.0, 1.0)
    assert Share(0, 0).value == 0.0


def test_percentiles_are_values_that_were_seen() -> None:
    seen = [float(n) for n in range(1, 101)]
    assert (percentile(seen, 0.50), percentile(seen, 0.95)) == (50.0, 95.0)
    assert percentile([3.0], 0.95) == 3.0
    assert math.isnan(percentile([], 0.5))


def test_cost_is_per_answered_request() -> None:
    column = Column("cascade", Share(1, 4), took_s=(0.1, 0.2), usd=0.004, failed=2)
    assert column.usd_per_1k_requests == pytest.approx(2.0)
