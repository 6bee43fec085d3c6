"""Rejection sampling keeps the teacher's distribution: added up exactly, not drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from router.verify_sampling import Distribution, keep_probability, residual

weights = arrays.arrays(np.float64, 5, elements=st.floats(0.0, 1.0)).filter(
    lambda each: each.sum() > 0.01
)
distributions = weights.map(lambda each: each / each.sum())


@given(distributions, distributions)
def test_what_comes_out_is_distributed_as_the_teacher(
    teacher: Distribution, student: Distribution
) -> None:
    kept = np.array(
        [q * keep_probability(teacher, student, x) if q else 0.0 for x, q in enumerate(student)]
    )

    out = kept + (1.0 - kept.sum()) * residual(teacher, student)

    assert np.allclose(out, teacher)
    assert kept.sum() == pytest.approx(np.minimum(teacher, student).sum())


@given(distributions)
def test_a_student_that_is_the_teacher_is_never_rejected(teacher: Distribution) -> None:
    drawn = [x for x, q in enumerate(teacher) if q]

    assert all(keep_probability(teacher, teacher, x) == 1.0 for x in drawn)
    assert residual(teacher, teacher).sum() == pytest.approx(1.0)


def test_a_token_that_cannot_have_been_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="probability 0"):
        keep_probability(np.array([0.5, 0.5]), np.array([1.0, 0.0]), 1)
