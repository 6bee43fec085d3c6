import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.traces.stats import Judged, Served, quantile, summarise

samples = st.lists(st.floats(min_value=0, max_value=100), min_size=1)


def served(route: str = "triage", **changes: object) -> Served:
    usual = Served(route, "student", "confident", "served", 0.9, 0.05, 0.001, 0.01)
    return usual._replace(**changes)  # type: ignore[arg-type]


def judged(agreement: float, *, judge: str = "shadow", served_by: str = "student") -> Judged:
    return Judged("triage", served_by, judge, "label", agreement, 0.05)


def test_without_traffic_there_is_nothing_to_say() -> None:
    assert summarise([], []) == []


def test_coverage_is_the_students_share_of_what_was_served() -> None:
    (route,) = summarise(
        [
            served(),
            served(),
            served(served_by="teacher", reason="low_confidence"),
            served(served_by=None, reason=None, outcome="failed"),
        ],
        [],
    )

    assert route.coverage == pytest.approx(2 / 3)
    assert route.requests == 4
    assert route.reasons == {"confident": 2, "low_confidence": 1, "none": 1}
    assert route.outcomes == {"served": 3, "failed": 1}


def test_what_a_client_pinned_is_no_part_of_the_coverage() -> None:
    (route,) = summarise([served(), served(served_by="teacher", reason="pinned")], [])

    assert route.coverage == 1.0


def test_a_route_that_served_nothing_has_no_coverage() -> None:
    (route,) = summarise([served(served_by=None, confidence=None, cost_usd=None)], [])

    assert (route.coverage, route.mean_confidence, route.cost_usd) == (None, None, None)
    assert route.latencies == []


def test_fidelity_counts_only_what_the_student_served_and_a_shadow_judged() -> None:
    (route,) = summarise(
        [served()],
        [
            *[judged(1.0)] * 9,
            judged(0.0),
            *[judged(0.0, judge="fallback", served_by="teacher")] * 50,
            *[judged(0.0, served_by="teacher")] * 50,
        ],
    )
    (fidelity,) = route.fidelity()

    assert fidelity.share.estimate == pytest.approx(0.9)
    assert fidelity.share.judged == 10
    assert [(each.by, each.served_by) for each in route.agreements] == [
        ("fallback", "teacher"),
        ("shadow", "student"),
        ("shadow", "teacher"),
    ]


def test_latency_is_told_by_who_served() -> None:
    times = [served(total_s=n / 100) for n in range(1, 101)]
    (route,) = summarise([*times, served(served_by="teacher", total_s=2.0)], [])
    student, teacher = route.latencies

    assert (student.p50_s, student.p95_s, student.requests) == (0.5, 0.95, 100)
    assert (teacher.p50_s, teacher.p95_s, teacher.requests) == (2.0, 2.0, 1)


def test_money_is_summed_where_it_is_known() -> None:
    (route,) = summarise([served(), served(saved_usd=-0.002), served(saved_usd=None)], [])

    assert route.cost_usd == pytest.approx(0.003)
    assert route.saved_usd == pytest.approx(0.008)


@given(samples, st.floats(min_value=0.01, max_value=1))
def test_a_quantile_is_a_value_that_its_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    found = quantile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
