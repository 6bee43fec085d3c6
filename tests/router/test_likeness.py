import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.divergence import Comparator, Comparison, compare
from router.likeness import form, length_ratio, rouge_l, same_code, token_f1, words

sentences = st.lists(st.sampled_from("abcd"), max_size=12)


def longest_common(a: list[str], b: list[str]) -> int:
    """By the table, as in the textbook."""
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            rows[i + 1][j + 1] = rows[i][j] + 1 if x == y else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


@given(sentences, sentences)
def test_rouge_l_is_that_of_the_textbook(a: list[str], b: list[str]) -> None:
    expected = 2 * longest_common(a, b) / (len(a) + len(b)) if a or b else 1.0

    assert rouge_l(a, b) == pytest.approx(expected)
    assert rouge_l(a, b) <= token_f1(a, b) + 1e-12


def test_a_bag_of_words_has_no_order_and_counts_repetitions() -> None:
    assert token_f1(words("the cat sat"), words("Sat the CAT")) == 1.0
    assert token_f1(words("a a b"), words("a b b")) == pytest.approx(2 / 3)
    assert rouge_l(words("the cat sat"), words("sat the cat")) == pytest.approx(2 / 3)


def test_a_long_pair_takes_no_table() -> None:
    ours = [str(at % 97) for at in range(20_000)]

    assert rouge_l(ours, ours[5:]) == pytest.approx(2 * 19_995 / 39_995)


def test_length_is_the_shorter_over_the_longer() -> None:
    assert length_ratio(words("one two"), words("one two three four")) == 0.5
    assert length_ratio([], []) == 1.0
    assert length_ratio([], ["a"]) == 0.0


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("x = [1,2]  # two", "x = [\n  1,\n  2,\n]", True),
        ("if a:\n  b()\nc()", "if a:\n    b()\nc()", True),
        ("if a:\n  b()\nc()", "if a:\n  b()\n  c()", False),
        ("Here:\n```js\nlet a=1;\n```", "```\nlet a = 1;\n```\nDone.", True),
        ("let a = 1;", "let a = 2;", False),
        ("x = " + "(" * 500, "x = " + "(" * 500, True),
    ],
)
def test_code_is_the_same_whatever_its_layout(ours: str, theirs: str, *, same: bool) -> None:
    assert same_code(ours, theirs) is same


def test_an_answer_has_a_form() -> None:
    said = ["  ", '{"a":1}', "```json\n[1]\n```", "see\n```py\nx\n```", "Hello"]
    assert [form(each) for each in said] == ["empty", "json object", "json array", "code", "prose"]


@pytest.mark.parametrize(
    ("comparator", "student", "teacher", "found"),
    [
        (Comparator.TOKENS, "the cat sat", "the dog sat",
         Comparison(2 / 3, "word 1: cat sat|dog sat")),
        (Comparator.ROUGE_L, "a b", "b a", Comparison(0.5, "word 0: a b|b a")),
        (Comparator.CODE, "x=1", "x = 2", Comparison(0.0, "word 2: 1|2")),
        (Comparator.REFUSAL, "I'm sorry, but I can't help with that.", "Sure.",
         Comparison(0.0, "refuses|answers")),
        (Comparator.FORMAT, '{"a":1}', "a is 1", Comparison(0.0, "json object|prose")),
        (Comparator.LENGTH, "one", "one two", Comparison(0.5, "words: 1|2")),
    ],
)  # fmt: skip
def test_each_says_how_far_they_agree_and_where_they_part(
    comparator: Comparator, student: str, teacher: str, found: Comparison
) -> None:
    assert compare(comparator, student, teacher, label=None) == found


def called(name: str, arguments: object, content: str | None = None) -> str:
    calls = [{"name": name, "arguments": arguments}]
    return json.dumps({"content": content, "tool_calls": calls})


def test_calls_are_the_same_by_name_and_arguments_whatever_was_said_beside() -> None:
    def found(student: str, teacher: str) -> Comparison:
        return compare(Comparator.TOOL_CALLS, student, teacher, label=None)

    same = found(called("find", {"a": 1, "b": 2}), called("find", {"b": 2.0, "a": 1}, "Wait"))

    assert same == Comparison(1.0, "")
    assert found(called("find", {"a": 1}), called("seek", {"a": 1})) == Comparison(
        0.0, "tool_calls[0].name: find|seek"
    )
    assert found(called("find", {"a": 1}), called("find", {"a": 2})) == Comparison(
        0.0, "tool_calls[0].arguments.a: 1|2"
    )
    assert found(called("find", {"a": 1}), "No.").agreement == 0.0
    assert found("Yes.", "No.").agreement == 1.0
