"""Figures from answers, on eight texts whose right answers are known."""

from pathlib import Path

import pytest

pytest.importorskip("xllamacpp")

from distill.evaluate import (
    NoServingThreshold,
    as_json,
    as_table,
    deferral_at,
    paired,
    recommended_threshold,
    report,
)
from distill.served import ServedAnswer, load_answers, save_answers
from serving.triage.dataset import Feedback, Source
from serving.triage.task import Answer, Sentiment

POSITIVE = (0, 0, 0, 0, 0, 0, 20, 0, 0)
ITEMS = [Feedback(f"movie-{n}", f"movie-{n}", Source.MOVIE, "good", POSITIVE) for n in range(8)]
RIGHT = str(Answer(Sentiment.POSITIVE, 2))
WRONG = str(Answer(Sentiment.NEGATIVE, 2))
WEAK = str(Answer(Sentiment.POSITIVE, 1))


def answers(texts: list[str], confidence: list[float] | None = None) -> list[ServedAnswer]:
    sure = confidence or [0.9] * len(texts)
    return [
        ServedAnswer(item.id, text, p, 0.1)
        for item, text, p in zip(ITEMS, texts, sure, strict=True)
    ]


STUDENT = answers([RIGHT] * 5 + [WEAK, WRONG, "{"], [0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.5, 0.4])
TEACHER = answers([RIGHT] * 7 + [WRONG])


def test_figures_are_shares_of_the_texts() -> None:
    found = report(ITEMS, STUDENT, TEACHER)
    assert found.texts == 8
    assert found.student.estimate == 6 / 8
    assert found.student_exact.estimate == 5 / 8
    assert found.teacher.estimate == 7 / 8
    assert found.student_valid == 7 / 8
    assert found.fidelity.estimate == 6 / 8
    assert found.auroc_fidelity == 1.0


def test_answers_are_matched_by_id_not_by_place() -> None:
    shuffled = list(reversed(STUDENT))
    assert report(ITEMS, shuffled, TEACHER).student == report(ITEMS, STUDENT, TEACHER).student


def test_two_unreadable_answers_do_not_agree() -> None:
    broken = answers(["{"] * 8)
    assert not paired(ITEMS, broken, broken).agree.any()


def test_the_recommended_threshold_is_the_lowest_that_holds() -> None:
    pair = paired(ITEMS, STUDENT, TEACHER)
    found = recommended_threshold(pair, slack=0.0)
    assert found.threshold == pytest.approx(0.51)
    assert found.accuracy >= pair.teacher_right.mean()
    assert deferral_at(pair, found.threshold) == found


def test_a_cascade_that_only_happens_to_be_as_good_is_not_enough() -> None:
    lucky = answers([RIGHT] * 6 + [WRONG, RIGHT], [0.9] * 4 + [0.6] * 4)
    pair = paired(ITEMS, lucky, TEACHER)  # one more and one less right than the teacher

    assert deferral_at(pair, 0.5).accuracy == pair.teacher_right.mean()
    assert recommended_threshold(pair, slack=0.0).threshold == pytest.approx(0.61)


def test_a_student_that_is_surely_wrong_gets_no_threshold() -> None:
    pair = paired(ITEMS, answers([WRONG] * 8, [1.0] * 8), TEACHER)
    with pytest.raises(NoServingThreshold):
        recommended_threshold(pair, slack=0.01)


def test_answers_survive_a_file(tmp_path: Path) -> None:
    save_answers(STUDENT, tmp_path / "answers.jsonl")
    assert load_answers(tmp_path / "answers.jsonl") == STUDENT


def test_files_hold_numbers_that_json_knows() -> None:
    found = as_json(report(ITEMS, STUDENT, TEACHER))
    assert found["student"] == {"estimate": 0.75, "lower": 0.4093, "upper": 0.9285}
    assert "NaN" not in str(found).replace("nan", "NaN")


def test_the_table_has_a_row_for_every_point() -> None:
    curve = report(ITEMS, STUDENT, TEACHER).curve
    assert len(as_table(curve).splitlines()) == len(curve) + 2
