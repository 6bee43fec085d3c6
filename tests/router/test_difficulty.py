import numpy as np
import pytest

from router.difficulty import fit_difficulty, hashed

EASY = ("good", "nice", "fine", "great")
HARD = ("perhaps", "although", "odd", "hardly")


def prompts(number: int, seed: int) -> tuple[list[str], np.ndarray]:
    """The teacher agrees with nine in ten of the easy ones, with one in ten of the hard."""
    random = np.random.default_rng(seed)
    hard = random.random(number) < 0.5
    words = [random.choice(HARD if each else EASY) for each in hard]
    agreement = (random.random(number) < np.where(hard, 0.1, 0.9)).astype(float)
    return [f"this is {word} and no more" for word in words], agreement


def test_it_learns_which_words_are_hard() -> None:
    seen, agreement = prompts(600, 0)
    model = fit_difficulty(seen, agreement, np.ones(600))
    easy, hard = model.agreement(["this is nice and no more", "this is odd and no more"])

    assert easy > 0.75
    assert hard < 0.25


def test_it_knows_how_often_the_teacher_agrees_on_average() -> None:
    seen, agreement = prompts(600, 1)
    model = fit_difficulty(seen, agreement, np.ones(600))

    assert model.agreement(seen).mean() == pytest.approx(agreement.mean(), abs=1e-3)


def test_a_text_is_hashed_alike_on_every_machine_and_to_unit_length() -> None:
    found = hashed("Bad, BAD service")

    assert np.flatnonzero(found).tolist() == [9, 207, 210, 235, 366, 507]
    assert found @ found == pytest.approx(1.0)
    assert not hashed(" ").any()
