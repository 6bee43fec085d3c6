"""Each rule, asked about one token."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.verify_rules import (
    Candidate,
    Chow,
    Diff,
    Drafted,
    Greedy,
    Lenient,
    Opt,
    Reading,
    Rule,
    TokenV1,
    TokenV2,
    TopK,
    is_exact,
    keeps,
)
from tests.router.lettered import RAW, Lettered

shares = st.floats(0.0, 1.0)
models = st.builds(Lettered, st.integers(0, 999), st.sampled_from([0.5, 3.0, 9.0]))
prefixes = st.lists(st.integers(1, len(RAW) - 1), max_size=4)


def pair(token: int, p: dict[int, float], q: float = 0.5) -> tuple[Drafted, Reading]:
    """A drafted token and its reading, of the teacher's probabilities by token."""
    ranked = sorted(p, key=lambda each: -p[each])
    top = tuple(Candidate(each, math.log(p[each])) for each in ranked[:3])
    rank = 1 + sum(other > p[token] for other in p.values())
    nats = math.log(q)
    return Drafted(token, b"x", nats, nats), Reading(token, math.log(p[token]), rank, top)


def met(student: Lettered, teacher: Lettered, prefix: list[int]) -> tuple[Drafted, Reading]:
    tokens = [*prefix, student.best(prefix)]
    return student.drafted(tokens, 99).tokens[-1], teacher.read(tokens, len(RAW))[-1]


@pytest.mark.parametrize(
    ("rule", "token", "kept"),
    [
        (Greedy(), 1, True),
        (Greedy(), 2, False),
        (Greedy(tie_nats=0.3), 1, False),  # ln(.5/.4) = .22
        (Greedy(tie_nats=0.2), 1, True),
        (Lenient(0.2), 2, True),  # .4 >= .8 * .5
        (Lenient(0.19), 2, False),
        (Lenient(1.0), 3, True),
        (TokenV1(0.0), 3, True),  # the student's .5 is the teacher's .5
        (TokenV2(0.11), 2, True),  # .4 >= .5 - .11
        (TokenV2(0.09), 2, False),
        (TopK(2), 2, True),
        (TopK(2), 3, False),
        (Chow(0.5), 3, True),  # the student's .5 is sure enough
        (Chow(0.4), 3, False),
        (Chow(0.4), 1, True),  # asked, and the teacher says the same
        (Diff(0.0), 3, True),  # the teacher is no surer
        (Opt(0.0), 3, True),
    ],
)
def test_a_token_is_kept_by_the_formula(rule: Rule, token: int, kept: bool) -> None:  # noqa: FBT001
    assert keeps(rule, *pair(token, {1: 0.5, 2: 0.4, 3: 0.1})) is kept


def test_a_surer_teacher_is_asked_and_its_first_choice_counts() -> None:
    unsure = pair(2, {1: 0.9, 2: 0.1}, q=0.5)

    assert not keeps(Diff(0.3), *unsure)  # .5 < .9 - .3
    assert keeps(Diff(0.5), *unsure)
    assert not keeps(Opt(0.9), *unsure)  # .5 < .9 - .9 * |.1 - .5|
    assert keeps(Opt(1.0), *unsure)


def test_a_rule_about_the_token_looks_at_it_and_not_at_the_surest_one() -> None:
    drafted = Drafted(2, b"x", math.log(0.3), math.log(0.6))  # drawn, not the student's first
    _, reading = pair(2, {1: 0.7, 2: 0.2, 3: 0.1})

    assert keeps(Diff(0.1), drafted, reading)  # .6 >= .7 - .1
    assert not keeps(TokenV1(0.3), drafted, reading)  # .3 < .7 - .3
    assert keeps(TokenV1(0.41), drafted, reading)
    assert not keeps(TokenV2(0.49), drafted, reading)  # .2 < .7 - .49
    assert keeps(TokenV2(0.51), drafted, reading)


def test_of_two_equals_neither_is_kept_since_nobody_knows_which_the_teacher_takes() -> None:
    for token in (1, 2):
        assert not keeps(Greedy(), *pair(token, {1: 0.4, 2: 0.4, 3: 0.2}))


def test_a_first_choice_without_a_runner_up_is_a_tie() -> None:
    alone = Reading(1, -0.1, 1, (Candidate(1, -0.1),))

    assert not keeps(Greedy(), Drafted(1, b"x", -0.1, -0.1), alone)


@given(models, models, prefixes)
def test_greedy_keeps_only_what_the_teacher_would_write(
    student: Lettered, teacher: Lettered, prefix: list[int]
) -> None:
    drafted, reading = met(student, teacher, prefix)

    assert keeps(Greedy(), drafted, reading) == (drafted.token_id == teacher.best(prefix))
    assert is_exact(Greedy())


@given(models, models, prefixes, shares, shares)
def test_a_looser_rule_keeps_what_a_stricter_one_kept(
    student: Lettered, teacher: Lettered, prefix: list[int], one: float, other: float
) -> None:
    drafted, reading = met(student, teacher, prefix)
    tight, loose = sorted((one, other))
    kinds = (Lenient, TokenV1, TokenV2, Chow, Diff, Opt)

    for strict, lax in [(each(tight), each(loose)) for each in kinds] + [(TopK(1), TopK(2))]:
        assert keeps(Greedy(), drafted, reading) <= keeps(strict, drafted, reading)
        assert keeps(strict, drafted, reading) <= keeps(lax, drafted, reading)
        assert not is_exact(lax)


@given(models, models, prefixes)
def test_at_their_strictest_the_loose_rules_are_the_greedy_one(
    student: Lettered, teacher: Lettered, prefix: list[int]
) -> None:
    drafted, reading = met(student, teacher, prefix)
    tightest: list[Rule] = [Lenient(0.0), TokenV2(0.0), TopK(1), Chow(0.0)]
    alpha_1: list[Rule] = [TokenV1(1.0), TokenV2(1.0), Chow(1.0), Diff(1.0)]
    loosest: list[Rule] = [*alpha_1, Lenient(1.0), TopK(len(RAW))]
    for rule in tightest:
        assert keeps(rule, drafted, reading) == keeps(Greedy(), drafted, reading)
    for rule in loosest:
        assert keeps(rule, drafted, reading)


@given(models, models, prefixes, shares)
def test_the_bound_never_keeps_what_the_optimal_rule_would_not(
    student: Lettered, teacher: Lettered, prefix: list[int], alpha: float
) -> None:
    drafted, reading = met(student, teacher, prefix)
    p, q = ([math.exp(nats) for nats in each.odds(prefix)] for each in (teacher, student))
    distance = sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2
    asks = max(q) < max(p) - alpha * distance - 1e-12

    if asks and not keeps(Greedy(), drafted, reading):
        assert not keeps(Opt(alpha), drafted, reading)


@given(models, models, prefixes, shares)
def test_v2_is_v3_with_a_number_in_units_of_the_teachers_best(
    student: Lettered, teacher: Lettered, prefix: list[int], alpha: float
) -> None:
    drafted, reading = met(student, teacher, prefix)

    best = math.exp(reading.best_nats)
    kept = keeps(TokenV2(alpha * best * (1 - 1e-9)), drafted, reading)
    assert kept <= keeps(Lenient(alpha), drafted, reading)  # p(x) >= (1 - alpha) * max p


@given(models, models, prefixes, shares)
def test_v1_of_a_greedy_student_is_diff(
    student: Lettered, teacher: Lettered, prefix: list[int], alpha: float
) -> None:
    drafted, reading = met(student, teacher, prefix)

    assert keeps(TokenV1(alpha), drafted, reading) == keeps(Diff(alpha), drafted, reading)


def test_a_reading_of_another_token_is_refused() -> None:
    drafted, reading = pair(1, {1: 0.5, 2: 0.5})

    with pytest.raises(ValueError, match="7 was written, 1 was read"):
        keeps(Greedy(), Drafted(7, b"x", 0.0, 0.0), reading)
    assert drafted.token_id == 1


@pytest.mark.parametrize("kind", [Lenient, TokenV1, TokenV2, Chow, Diff, Opt])
def test_a_share_outside_of_0_to_1_is_refused(
    kind: type[Lenient | TokenV1 | TokenV2 | Chow | Diff | Opt],
) -> None:
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="must be in"):
            kind(wrong)
    with pytest.raises(ValueError, match="k must be"):
        TopK(0)
    with pytest.raises(ValueError, match="tie_nats"):
        Greedy(-1.0)


def test_a_rule_is_told_by_its_name_and_number() -> None:
    rules: list[Rule] = [Greedy(), Lenient(0.25), TopK(3), Chow(0.5), Diff(0.1), Opt(1.0)]
    by_token: list[Rule] = [TokenV1(0.5), TokenV2(0.25)]

    told, told_too = [str(rule) for rule in rules], [str(rule) for rule in by_token]

    assert told == ["greedy", "lenient(0.25)", "top_k(3)", "chow(0.5)", "diff(0.1)", "opt(1)"]
    assert told_too == ["token_v1(0.5)", "token_v2(0.25)"]
