"""A draft is read by a scripted teacher: what is kept, and what the two say together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.verify import Draft, Ruling, rule_on, text_of
from router.verify_rules import (
    Chow,
    Diff,
    Drafted,
    Greedy,
    Lenient,
    Opt,
    Rule,
    TokenV1,
    TokenV2,
    TopK,
    keeps,
)
from tests.router.lettered import END, RAW, Lettered

LIMIT = 12
models = st.builds(Lettered, st.integers(0, 999), st.sampled_from([1.0, 6.0]), st.booleans())
shares = st.floats(0.0, 1.0)
rules: st.SearchStrategy[Rule] = st.one_of(
    st.just(Greedy()),
    st.builds(Lenient, shares),
    st.builds(TokenV1, shares),
    st.builds(TokenV2, shares),
    st.builds(TopK, st.integers(1, 9)),
    st.builds(Chow, shares),
    st.builds(Diff, shares),
    st.builds(Opt, shares),
)


def read(student: Lettered, teacher: Lettered, tokens: list[int], rule: Rule) -> Ruling:
    return rule_on(rule, student.drafted(tokens, LIMIT), teacher.read(tokens, 5))


@given(models, models, st.integers(1, LIMIT), st.integers(0, 99))
def test_greedy_the_two_together_say_what_the_teacher_alone_would_have_said(
    student: Lettered, teacher: Lettered, window: int, seed: int
) -> None:
    for tokens in (student.continued([], window), student.sampled(window, seed)):
        ruling = read(student, teacher, tokens, Greedy())

        kept = tokens[: ruling.kept]
        together = kept if ruling.whole else teacher.continued(kept, LIMIT)
        assert together == teacher.continued([], LIMIT)


@given(models)
def test_a_student_that_is_the_teacher_is_kept_whole_unless_it_met_a_tie(model: Lettered) -> None:
    tokens = model.continued([], LIMIT)

    ruling = read(model, model, tokens, Greedy())

    ties = any(each.top[0].nats == each.top[1].nats for each in model.read(tokens, 2))
    assert ruling.whole is not ties


@given(models, models, rules, st.integers(0, 99))
def test_every_kept_token_is_one_that_the_rule_keeps_and_the_next_one_is_not(
    student: Lettered, teacher: Lettered, rule: Rule, seed: int
) -> None:
    tokens = student.sampled(LIMIT, seed)
    draft, readings = student.drafted(tokens, LIMIT), teacher.read(tokens, 5)

    ruling = rule_on(rule, draft, readings)

    ruled = [keeps(rule, *pair) for pair in zip(draft.tokens, readings, strict=True)]
    assert all(ruled[: ruling.agreed])
    assert ruling.agreed == len(ruled) or not ruled[ruling.agreed]
    assert ruling.kept <= ruling.agreed


@given(models, models, rules, st.integers(1, LIMIT), st.integers(0, 99))
def test_a_cut_never_goes_through_a_character_and_never_keeps_the_end_of_the_turn(
    student: Lettered, teacher: Lettered, rule: Rule, window: int, seed: int
) -> None:
    tokens = student.sampled(window, seed)
    draft = student.drafted(tokens, LIMIT)

    ruling = read(student, teacher, tokens, rule)

    if not ruling.whole:
        b"".join(RAW[each] for each in tokens[: ruling.kept]).decode()
        assert END not in tokens[: ruling.kept]
    else:
        assert draft.finished
        assert ruling.kept == len(tokens)


def test_the_end_of_the_turn_is_judged_like_any_other_token() -> None:
    def a(token: int, text: bytes) -> Drafted:
        return Drafted(token, text, -0.1, -0.1)

    teacher = Lettered(5, sharpness=9.0)
    first = teacher.best([])
    assert END not in {first, teacher.best([first])}
    tokens = [first, END]
    draft = Draft((a(first, RAW[first]), a(END, b"<|end|>")), finished=True)

    assert rule_on(Greedy(), draft, teacher.read(tokens, 3)) == Ruling(1, 1, whole=False)
    assert rule_on(TopK(99), draft, teacher.read(tokens, 3)) == Ruling(2, 2, whole=True)


def test_a_draft_that_was_held_is_gone_on_from_even_where_all_of_it_stands() -> None:
    teacher = Lettered(7)
    draft = teacher.drafted([1, 3], LIMIT)

    ruling = rule_on(TopK(99), draft, teacher.read([1, 3], 3))

    assert ruling == Ruling(2, 2, whole=False)


@pytest.mark.parametrize(
    "texts",
    [
        [b"a", b"\xf0\x9f", b"\x98\x80", b"b"],  # as llama.cpp has it: each its own bytes
        [b"a", b"", b"\xf0\x9f\x98\x80", b"b"],  # as vLLM has it: all with the last
    ],
)
def test_both_ways_to_tell_a_part_of_a_character_are_cut_alike(texts: list[bytes]) -> None:
    teacher = Lettered(7)
    ids = list(range(1, 5))
    tokens = tuple(Drafted(token, text, -0.1, -0.1) for token, text in zip(ids, texts, strict=True))
    readings = teacher.read(ids, 3)

    kept = [
        rule_on(TopK(99), Draft(tokens[:n], finished=False), readings[:n]).kept for n in range(5)
    ]

    assert kept == [0, 1, 1, 3, 4]
    assert text_of(tokens) == "a😀b"


def test_nothing_after_bytes_that_are_no_text_is_kept() -> None:
    tokens = tuple(Drafted(each, text, 0.0, 0.0) for each, text in [(1, b"a"), (2, b"\xff")])

    ruling = rule_on(TopK(99), Draft(tokens, finished=False), Lettered(1).read([1, 2], 3))

    assert ruling == Ruling(1, 2, whole=False)
    assert text_of(tokens) == "a�"


def test_a_token_without_a_reading_is_refused() -> None:
    model = Lettered(1)

    with pytest.raises(ValueError, match="2 tokens were written, 1 were read"):
        rule_on(TopK(99), model.drafted([1, 2], LIMIT), model.read([1], 3))
