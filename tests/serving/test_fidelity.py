"""What a fidelity report says of two models' words."""

import math

import pytest

from serving.fidelity import judge
from serving.scored import Scored


def scored(*, nats: float, choices: tuple[int, ...], answer: tuple[int, ...]) -> Scored:
    return Scored(tuple(nats for _ in choices), choices, answer, answer_s=0.5)


def test_the_figures_are_of_all_tokens_together() -> None:
    before = [
        scored(nats=-1.0, choices=(1, 2, 3), answer=(7, 8)),
        scored(nats=-1.0, choices=(4,), answer=(9, 9, 9)),
    ]
    after = [
        scored(nats=-2.0, choices=(1, 2, 9), answer=(7, 8)),
        scored(nats=-2.0, choices=(4,), answer=(9, 1, 9)),
    ]

    found = judge(before, after, answer_tokens=3, memory_bytes=(10, None))

    assert found.before.perplexity == pytest.approx(math.e)
    assert found.after.perplexity == pytest.approx(math.e**2)
    assert found.before.tokens_per_s == pytest.approx(5.0)
    assert (found.texts, found.tokens) == (2, 4)
    assert found.same_first_choice == 0.75
    assert found.same_answer == 0.5
    assert found.same_opening == pytest.approx(3 / 5)
    assert (found.before.engine_memory_bytes, found.after.engine_memory_bytes) == (10, None)
