"""Which traces are taken, why, and for how many requests they stand."""

from typing import Any

import pytest
from msgspec import UNSET

from distill.funnel import Funnel
from distill.harvest import HarvestRules, harvest, sample_agreement
from distill.rows import Row, Why
from router.evidence import Record
from router.trace import Judge, Outcome, ServedBy
from tests.distill.loop.made import Mood, answer, by_student, exchange, judged, row

RULES = HarvestRules()


def taken(*records: Record) -> list[Row]:
    return harvest(records, Mood(), RULES, Funnel())


SURE = by_student(1)
FEEDBACK: dict[str, Any] = {"by": Judge.FEEDBACK, "propensity": 1.0}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ((exchange(1), []), Why.FALLBACK),
        ((SURE, []), None),
        ((by_student(1, confidence=0.85), []), Why.LOW_CONFIDENCE),
        ((SURE, [judged(SURE, 0.0)]), Why.DIVERGENCE),
        ((SURE, [judged(SURE, None)]), None),
        ((SURE, [judged(SURE, 0.0, **FEEDBACK)]), Why.NEGATIVE_FEEDBACK),
        ((SURE, [judged(SURE, 1.0, **FEEDBACK)]), None),
        ((SURE, [judged(SURE, None, **FEEDBACK, correction="good")]), Why.CORRECTION),
        ((exchange(1, mode="imported"), []), Why.IMPORTED),
        ((exchange(1, pinned=True), []), None),
        ((exchange(1, outcome=Outcome.FAILED, served_by=None), []), None),
        ((exchange(1, request=UNSET), []), None),
    ],
)
def test_a_row_says_why_it_was_taken(record: Record, why: Why | None) -> None:
    assert [each.why for each in taken(record)] == ([] if why is None else [why])


def test_a_shadows_row_stands_for_as_many_requests_as_were_not_shadowed() -> None:
    (found,) = taken((SURE, [judged(SURE, 0.0, propensity=0.05)]))

    assert found.weight == pytest.approx(20.0)
    assert found.said is None  # the shadow's words are not in the trace


def test_half_an_answer_teaches_nothing() -> None:
    (found,) = taken((exchange(1, student=answer("ba", complete=False)), []))

    assert found.student is None


def test_of_agreement_a_sample_is_kept_that_says_what_both_said() -> None:
    records: list[Record] = [(exchange(at), []) for at in range(10)]
    agreeing = [by_student(at) for at in range(100, 140)]
    records += [(each, [judged(each, 1.0)]) for each in agreeing]
    funnel = Funnel()
    rows = harvest(records, Mood(), RULES, funnel)

    sample = [each for each in rows if each.why is Why.AGREEMENT]
    assert len(sample) == 5
    assert {each.said for each in sample} == {"bad"}
    assert funnel.rules[-1].removed == 35


def test_the_sample_prefers_those_that_stand_for_many() -> None:
    rare = [row(at, why=Why.AGREEMENT, weight=50.0) for at in range(50)]
    usual = [row(at, why=Why.AGREEMENT, weight=1.0) for at in range(50, 100)]
    others = [row(at) for at in range(100, 140)]
    kept = sample_agreement([*rare, *usual, *others], RULES, Funnel())

    heavy = sum(each.weight == 50.0 for each in kept)
    assert heavy >= 17  # of 20; one in two by chance


def test_the_same_traces_give_the_same_rows() -> None:
    records: list[Record] = [(exchange(1), [])]
    records += [(each, [judged(each, 1.0)]) for each in map(by_student, range(10, 30))]

    assert taken(*records) == taken(*records)


@pytest.mark.parametrize("served_by", [ServedBy.TEACHER, ServedBy.BOTH])
def test_a_verified_deferral_is_one_too(served_by: Any) -> None:
    (found,) = taken((exchange(1, served_by=served_by), []))

    assert found.why is Why.FALLBACK
