import uuid

import numpy as np
import pytest
from msgspec.structs import replace

from router.evidence import Record, gather, is_planned_on
from router.fidelity import estimate_fidelity
from router.replay import replay
from router.trace import Exchange, Judge, Judgement, Outcome, Reason, ServedBy
from router.verification import Ending, Verification

HOUR = 3600.0


def exchange(**said: object) -> Exchange:
    plain = Exchange(
        trace_id=str(uuid.UUID(int=1)),
        ts=10 * HOUR,
        route="support",
        stream=False,
        mode="cascade",
        pinned=False,
        served_by=ServedBy.STUDENT,
        reason=Reason.CONFIDENT,
        confidence=0.9,
        threshold=0.8,
        propensity=0.1,
        status=200,
        outcome=Outcome.SERVED,
        cost_usd=1.0,
        saved_usd=9.0,
        total_s=1.0,
    )
    return replace(plain, **said)


def judged(agreement: float | None, comparator: str = "label", *, ts: float = 0.0) -> Judgement:
    return Judgement(
        trace_id="",
        by=Judge.SHADOW,
        comparator=comparator,
        agreement=agreement,
        detail="",
        propensity=0.1,
        ts=ts,
    )


def as_ruled(each: Exchange) -> float | None:
    return each.confidence


def test_only_what_a_gate_ruled_on_is_evidence_for_a_threshold() -> None:
    others = (exchange(pinned=True), exchange(mode="teacher"), exchange(outcome=Outcome.CUT))
    records: list[Record] = [(each, ()) for each in (exchange(), *others)]

    assert len(gather(records, "label", as_ruled)) == 1


def test_the_comparator_that_was_asked_for_is_the_one_that_counts() -> None:
    record = exchange(), (judged(0.0, "exact"), judged(1.0, "label"))

    assert gather([record], "label", as_ruled).loss == [0.0]
    assert gather([record], "exact", as_ruled).loss == [1.0]
    assert not gather([record], "normalised", as_ruled).judged[0]


def test_a_verified_answer_tells_why_the_student_deferred_and_no_price() -> None:
    verified = exchange(
        reason=Reason.VERIFIED,
        served_by=ServedBy.BOTH,
        verification=Verification(
            rule="greedy", deferred=Reason.CHECK_REFUSAL.value, ending=Ending.KEPT
        ),
    )

    found = gather([(verified, ())], "label", as_ruled)

    assert not found.servable[0]
    assert np.isnan(found.teacher_usd[0])
    assert np.isnan(found.student_usd[0])


def test_what_failed_a_check_or_had_no_signal_no_threshold_would_have_served() -> None:
    failed = exchange(reason=Reason.CHECK_REFUSAL, confidence=0.99)
    silent = exchange(reason=Reason.NO_SIGNAL, confidence=None)
    evidence = gather([(failed, ()), (silent, ()), (exchange(), ())], "label", as_ruled)

    assert evidence.served(0.1).tolist() == [False, False, True]


def test_a_deferral_that_would_be_served_saves_the_teachers_price() -> None:
    served = exchange(cost_usd=1.0, saved_usd=9.0)
    deferred = exchange(
        served_by=ServedBy.TEACHER,
        reason=Reason.LOW_CONFIDENCE,
        confidence=0.5,
        cost_usd=11.0,
        saved_usd=-1.0,
    )
    evidence = gather([(served, ()), (deferred, ())], "label", as_ruled)

    assert evidence.student_usd.tolist() == [1.0, 1.0]
    assert evidence.teacher_usd.tolist() == [10.0, 10.0]
    assert replay(evidence, 0.8).saving == pytest.approx(1 - (1 + 1 + 10) / 20)
    assert replay(evidence, 0.4).saving == pytest.approx(1 - 2 / 20)
    assert replay(evidence, 0.95).saving == pytest.approx(-2 / 20)


def test_shadows_that_gave_way_are_stood_in_for_by_those_of_the_same_hour() -> None:
    quiet: list[Record] = [(exchange(), (judged(1.0),))] * 4
    busy_exchange = exchange(ts=12 * HOUR)
    busy: list[Record] = [
        (busy_exchange, (judged(0.0),)),
        *[(busy_exchange, (judged(None, "shed"),))] * 3,
    ]
    evidence = gather([*quiet, *busy], "label", as_ruled)

    assert evidence.missed == 3
    assert evidence.propensity.tolist() == pytest.approx([0.1] * 4 + [0.025] * 4)
    point = replay(evidence, 0.8)
    assert point.risk is not None
    assert point.risk.estimate == pytest.approx(0.5)


def test_the_part_that_is_planned_on_is_drawn_by_the_trace_id() -> None:
    random = np.random.default_rng(0)
    drawn = [exchange(trace_id=str(uuid.UUID(bytes=random.bytes(16)))) for _ in range(600)]
    planned = [is_planned_on(each, 1 / 3) for each in drawn]

    assert 160 < sum(planned) < 240
    assert planned == [is_planned_on(each, 1 / 3) for each in drawn]


def a_day(seed: int) -> list[Record]:
    """Quiet hours, where 95 % agree; and as many busy ones, where 75 % do and most shadows shed."""
    random = np.random.default_rng(seed)
    records: list[Record] = []
    for ts, agree, shed in ((10 * HOUR, 0.95, 0.0), (20 * HOUR, 0.75, 0.7)):
        at = exchange(ts=ts)
        for came, agrees in zip(
            random.random(150) >= shed, random.random(150) < agree, strict=True
        ):
            told = judged(float(agrees)) if came else judged(None, "shed")
            records.append((at, (told,)))
    return records


@pytest.mark.timeout(600)
def test_the_interval_of_fidelity_covers_the_truth_though_busy_hours_shed() -> None:
    truth, covered, naively = 0.85, 0, 0
    for seed in range(1000):
        evidence = gather(a_day(seed), "label", as_ruled)
        pairs = evidence.part(evidence.judged)
        agreement = (1.0 - pairs.loss).tolist()
        found = estimate_fidelity(zip(agreement, pairs.propensity.tolist(), strict=True))
        naive = estimate_fidelity((each, 0.1) for each in agreement)
        assert found is not None
        assert naive is not None
        covered += found.low <= truth <= found.high
        naively += naive.low <= truth <= naive.high

    assert covered >= 940  # 950 is the nominal level, 14 its three standard errors below
    assert naively < 750
