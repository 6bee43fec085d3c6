"""Figures of two students on the same texts, and what can be said of their difference."""

import numpy as np
import pytest

from distill.exam import (
    Marked,
    NothingToCompare,
    Paper,
    accuracy,
    compare,
    coverage_at,
    fidelity,
    miscalibration,
    paper,
)


def marks(*said: tuple[str | None, float], gold: str | None = "a") -> list[Marked]:
    return [Marked(f"t{at}", label, sure, 0.1, gold) for at, (label, sure) in enumerate(said)]


def taught(count: int) -> list[Marked]:
    return marks(*[("a", 1.0)] * count)


def of(alike: list[bool], confidence: list[float]) -> Paper:
    said = [("a" if same else "b", sure) for same, sure in zip(alike, confidence, strict=True)]
    return paper(marks(*said), taught(len(said)))


def test_an_answer_that_is_none_is_neither_right_nor_alike() -> None:
    on = paper(marks(("a", 0.9), (None, 0.9), ("b", 0.9)), taught(3))

    assert accuracy(on) == pytest.approx(1 / 3)
    assert fidelity(on) == pytest.approx(1 / 3)
    assert on.valid.tolist() == [True, False, True]


def test_accuracy_is_of_the_texts_whose_label_is_known() -> None:
    on = paper([*marks(("a", 0.9)), Marked("t1", "b", 0.9, 0.1, None)], taught(2))

    assert accuracy(on) == 1.0
    assert fidelity(on) == 0.5


def test_answers_are_matched_by_id_and_none_may_be_missing() -> None:
    mine = marks(("a", 0.9), ("b", 0.8))

    assert paper(mine[::-1], taught(2)).alike.tolist() == [True, False]
    with pytest.raises(NothingToCompare, match="1 of 2 texts"):
        paper(mine[:1], taught(2))


def test_coverage_is_the_most_that_can_be_served_within_the_risk() -> None:
    on = of([True] * 8 + [False, True], [0.9 - at / 100 for at in range(10)])

    assert coverage_at(0.0)(on) == 0.8
    assert coverage_at(0.1)(on) == 1.0
    assert coverage_at(0.02)(of([False, True], [0.9, 0.8])) == 0.0


def test_texts_of_equal_confidence_are_served_together_or_not_at_all() -> None:
    on = of([True, True, False, True], [0.9, 0.8, 0.8, 0.8])

    assert coverage_at(0.0)(on) == 0.25


def test_an_honest_confidence_has_a_small_calibration_error() -> None:
    dice = np.random.default_rng(0)
    sure = dice.uniform(0.3, 1.0, 4000)
    honest = of((dice.uniform(size=4000) < sure).tolist(), sure.tolist())
    boastful = of((dice.uniform(size=4000) < sure - 0.2).tolist(), sure.tolist())

    assert miscalibration(honest) < 0.03
    assert miscalibration(boastful) == pytest.approx(0.2, abs=0.03)


def test_a_difference_is_paired() -> None:
    """Two students that err on nearly the same texts differ by little, and surely."""
    wrong = [at % 4 == 0 for at in range(400)]
    worse = [bad or at % 20 == 1 for at, bad in enumerate(wrong)]
    sure = [0.5 + at % 7 / 20 for at in range(400)]
    found = compare(
        of([not bad for bad in wrong], sure),
        of([not bad for bad in worse], sure),
        max_risk=0.02,
        resamples=200,
    )["fidelity"]

    assert found.difference.estimate == pytest.approx(0.05)
    assert 0.02 < found.difference.lower < found.difference.upper < 0.08
    assert found.candidate.lower < found.incumbent.upper  # which unpaired intervals do not show
    assert found.p is not None
    assert found.p < 1e-5


def test_mcnemar_is_exact_for_few() -> None:
    better, same = of([True] * 5, [0.5] * 5), of([False] * 5, [0.5] * 5)
    found = compare(better, same, max_risk=0.02, resamples=20)

    assert found["fidelity"].p == pytest.approx(2 * 0.5**5)
    assert "auroc" not in found  # all alike: there is nothing to rank
