import pytest
from msgspec.structs import replace

from router.calibration import Method
from router.evidence import Record, is_planned_on
from router.trace import ServedBy
from router.tuning import PLANNING_SHARE, NothingToTune, Score, Tuned, Wish, rehearse, tune
from tests.router.recorded import THRESHOLD, traffic


def tuned(records: list[Record], wish: Wish) -> Tuned:
    return tune("support", records, wish, label=None, window_tokens=24)


def test_a_risk_that_can_be_promised_gets_a_threshold_with_its_figures() -> None:
    found = tuned(traffic(6000), Wish(max_risk=0.05))

    assert found.refusal is None
    assert found.promise is not None
    assert found.chosen is not None
    assert found.promise.risk_bound <= 0.05
    assert found.chosen.threshold == found.promise.threshold
    assert found.chosen.coverage.lower > 0.6
    assert found.now is not None
    assert found.now.threshold == THRESHOLD
    assert found.chosen.saving is not None
    assert 0.5 < found.chosen.saving < 0.9
    assert (found.student, found.comparator, found.doubts) == ("small", "label", ())
    assert len(found.curve) > 15


def test_the_promise_rests_on_none_of_the_pairs_that_it_was_planned_on() -> None:
    """Turned round in the part that is planned on, the pairs change no count in the other."""
    records = traffic(3000)
    plain = tuned(records, Wish(teacher_share=0.5))
    turned: list[Record] = [
        (exchange, [replace(each, agreement=0.0) for each in judgements])
        if is_planned_on(exchange, PLANNING_SHARE)
        else (exchange, judgements)
        for exchange, judgements in records
    ]

    assert tuned(turned, Wish(teacher_share=0.5)).promise == plain.promise


def test_a_refusal_says_how_many_more_requests_would_do() -> None:
    found = tuned(traffic(150), Wish(max_risk=0.02))

    assert found.promise is None
    assert found.refusal is not None
    assert "too few pairs" in found.refusal
    assert found.more_pairs is not None
    assert found.more_requests is not None
    assert found.more_requests > found.more_pairs


def test_what_must_be_deferred_in_any_case_is_told() -> None:
    records = traffic(3000)
    found = tuned(records, Wish(max_risk=0.05))
    wrong = sum(1 - (exchange.confidence or 0.0) for exchange, _ in records) / len(records)

    assert found.least_deferral == pytest.approx((wrong - 0.05) / 0.95, abs=0.02)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_a_teachers_share_is_used_to_the_full_and_not_exceeded(share: float) -> None:
    found = tuned(traffic(2000), Wish(teacher_share=share))

    assert found.chosen is not None
    assert found.promise is not None
    assert share - 0.01 < 1 - found.chosen.coverage.estimate <= share
    assert found.promise.risk_bound < 0.2


def test_a_budget_is_kept() -> None:
    found = tuned(traffic(2000), Wish(budget_usd=4.0))

    assert found.chosen is not None
    assert found.chosen.saving == pytest.approx(1 - 4 / 9, abs=0.01)


def test_a_risk_and_a_budget_that_exclude_each_other_are_refused() -> None:
    found = tuned(traffic(6000), Wish(max_risk=0.05, budget_usd=1.1))

    assert found.promise is None
    assert found.refusal is not None
    assert "can be promised from threshold" in found.refusal


def test_a_calibrated_score_is_fitted_on_one_part_and_tested_on_the_other() -> None:
    found = tuned(traffic(3000), Wish(max_risk=0.05, score=Score.CALIBRATED))

    assert found.calibration is not None
    assert found.calibration.student == "small"
    assert found.calibration.scores.ece < 0.05
    assert found.calibration.method in Method
    assert found.calibration.pairs < found.judged / 2
    assert found.promise is not None
    assert found.now is None  # the threshold of another scale


def test_another_student_halfway_raises_doubts() -> None:
    records = [*traffic(600, student="old"), *traffic(600, seed=1, student="new")]
    found = tuned(records, Wish(max_risk=0.2))

    assert any("the student was old, then new" in each for each in found.doubts)


def test_a_student_that_became_worse_raises_doubts() -> None:
    better, worse = traffic(800), traffic(800, seed=1)
    spoilt: list[Record] = [
        (exchange, [replace(each, agreement=0.0) for each in judgements])
        if place % 3 == 0
        else (exchange, judgements)
        for place, (exchange, judgements) in enumerate(worse)
    ]
    found = tuned([*better, *spoilt], Wish(max_risk=0.2))

    assert any("risk changed on the way" in each for each in found.doubts)


def test_without_a_request_or_a_pair_there_is_nothing_to_tune() -> None:
    with pytest.raises(NothingToTune, match="no gate has ruled"):
        tuned([], Wish(max_risk=0.1))
    bare: list[Record] = [(exchange, ()) for exchange, _ in traffic(10)]
    with pytest.raises(NothingToTune, match=r"\[routes.support.shadow\] rate"):
        tuned(bare, Wish(max_risk=0.1))


def test_without_prices_a_budget_cannot_be_kept() -> None:
    bare: list[Record] = [(replace(each, saved_usd=None), rest) for each, rest in traffic(99)]

    with pytest.raises(NothingToTune, match="know no prices"):
        tuned(bare, Wish(budget_usd=1.0))
    assert tuned(bare, Wish(teacher_share=0.5)).curve[0].saving is None


def test_a_replay_of_the_threshold_that_ruled_is_what_happened() -> None:
    records = traffic(1000)
    ((point, kept),) = rehearse("support", records, [THRESHOLD], Wish())
    served = sum(exchange.served_by is ServedBy.STUDENT for exchange, _ in records)
    cost = sum(exchange.cost_usd or 0.0 for exchange, _ in records)

    assert point.coverage.estimate == served / 1000
    assert point.saving == pytest.approx(1 - cost / 9000)
    assert kept.judged == point.judged
    assert point.risk is not None
    assert point.risk.estimate < kept.risk_bound < 0.1


def test_of_deferrals_that_nobody_could_judge_nothing_is_promised() -> None:
    """As where a route verifies loosely: what the gate deferred is not compared."""
    records: list[Record] = [
        (exchange, judgements)
        if exchange.served_by is ServedBy.STUDENT
        else (replace(exchange, propensity=None), ())
        for exchange, judgements in traffic(6000)
    ]
    found = tuned(records, Wish(max_risk=0.09))

    assert found.promise is not None
    assert found.promise.threshold > max(
        exchange.confidence or 0.0 for exchange, _ in records if exchange.propensity is None
    )
    assert any("could not have been judged" in each for each in found.doubts)
    ((_, kept),) = rehearse("support", records, [0.5], Wish())
    assert kept.risk_bound == 1.0


def test_the_time_before_shadowing_was_switched_on_does_not_count() -> None:
    early: list[Record] = [(replace(each, propensity=None), ()) for each, _ in traffic(500)]
    late = traffic(3000, seed=1)

    assert tuned([*early, *late], Wish(max_risk=0.06)) == tuned(late, Wish(max_risk=0.06))
