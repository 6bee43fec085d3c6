"""What is counted between two looks, and what a histogram says of it."""

import pytest

from gateway.top.look import NotMetrics, read
from gateway.top.window import Window

HISTOGRAM = """\
# TYPE tutelage_request_seconds histogram
tutelage_request_seconds_bucket{{route="a",le="0.1"}} {low}
tutelage_request_seconds_bucket{{route="a",le="0.2"}} {middle}
tutelage_request_seconds_bucket{{route="a",le="+Inf"}} {all}
tutelage_request_seconds_count{{route="a"}} {all}
tutelage_request_seconds_sum{{route="a"}} 1
"""


def counted(route: str, served_by: str, count: float) -> str:
    return f'tutelage_requests_total{{route="{route}",served_by="{served_by}"}} {count}\n'


def window(*texts: str, span_s: float = 60.0) -> Window:
    """A look a second."""
    seen = Window(span_s)
    for at_s, text in enumerate(texts):
        seen.add(read(text, float(at_s)))
    return seen


def test_a_counter_grows_by_the_difference_of_the_first_look_and_the_last() -> None:
    seen = window(
        counted("a", "student", 10) + counted("a", "teacher", 5),
        counted("a", "student", 13) + counted("a", "teacher", 5),
        counted("a", "student", 17) + counted("a", "teacher", 6) + counted("b", "student", 2),
    )

    assert seen.seconds == 2.0
    assert seen.grown("tutelage_requests_total", "served_by") == {"student": 9.0, "teacher": 1.0}
    assert seen.total("tutelage_requests_total", route="b") == 2.0, "a series that is new"
    assert seen.grown("tutelage_requests_total", "status") == {}


def test_after_a_restart_a_counter_grew_by_what_it_shows() -> None:
    seen = window(counted("a", "student", 1000), counted("a", "student", 4))

    assert seen.total("tutelage_requests_total") == 4.0


def test_looks_older_than_the_window_are_forgotten() -> None:
    texts = [counted("a", "student", count) for count in (0, 100, 101, 102)]

    assert window(*texts, span_s=2.0).total("tutelage_requests_total") == 2.0
    assert window(*texts, span_s=0.0).total("tutelage_requests_total") == 1.0, "the last two"


def test_one_look_is_a_window_without_length() -> None:
    seen = window(counted("a", "student", 7))

    assert (seen.seconds, seen.now("tutelage_requests_total", "route")) == (0.0, {"a": 7.0})
    assert seen.total("tutelage_requests_total") == 0.0
    assert Window(60.0).now("tutelage_requests_total", "route") == {}


@pytest.mark.parametrize(
    ("q", "expected"),
    [(0.25, 0.05), (0.5, 0.1), (0.75, 0.15), (1.0, 0.2)],
)
def test_a_quantile_is_linear_within_its_bucket(q: float, expected: float) -> None:
    seen = window(
        HISTOGRAM.format(low=100, middle=100, all=100),
        HISTOGRAM.format(low=110, middle=120, all=120),
    )

    assert seen.quantile(q, "tutelage_request_seconds", route="a") == pytest.approx(expected)


def test_a_quantile_past_the_last_bound_is_that_bound() -> None:
    seen = window(
        HISTOGRAM.format(low=0, middle=0, all=0), HISTOGRAM.format(low=0, middle=0, all=9)
    )

    assert seen.quantile(0.5, "tutelage_request_seconds") == pytest.approx(0.2)


def test_there_is_no_quantile_of_nothing() -> None:
    still = HISTOGRAM.format(low=3, middle=3, all=3)

    assert window(still, still).quantile(0.5, "tutelage_request_seconds") is None
    assert window(still, still).quantile(0.5, "tutelage_confidence") is None


@pytest.mark.parametrize("text", ["<html>", "vllm:num_requests_running 1\n", ""])
def test_what_is_not_a_gateways_metrics_is_told(text: str) -> None:
    with pytest.raises(NotMetrics):
        read(text, 0.0)
