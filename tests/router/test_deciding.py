import json
import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.deciding import DecidingTokens
from tests.router.json_reference import deciding_bytes

# "<" would let a random cut make a control token such as <s>.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<"), max_size=6)
keys = st.sampled_from(["label", "a", "é", 'q"', "\\"]) | words
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
values = st.recursive(
    leaves.filter(lambda value: value not in {math.inf, -math.inf}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(keys, values, max_size=4) | st.lists(values, max_size=4)
spellings = st.fixed_dictionaries(
    {"indent": st.sampled_from([None, 1]), "ensure_ascii": st.booleans()}
)
marks = st.sampled_from(list('{}[]":,\\` \n'))
scraps = st.sampled_from(
    ["\\u00e9", "a", "1", "-", "tr", "ue", "null", "```json\n", '"label":', "é"]
)
fragments = st.lists(marks | scraps, max_size=20).map("".join)


def cut(answer: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(answer) + 1) for place in places), len(answer)]
    return [answer[start:end] for start, end in pairwise(edges)]


def read(*tokens: bytes, label: str | None = None) -> list[bytes]:
    """The tokens that decide."""
    scan = DecidingTokens(label)
    return [token for token in tokens if scan.feed(token)]


def byte_by_byte(answer: bytes, label: str | None) -> set[int]:
    scan = DecidingTokens(label)
    return {at for at in range(len(answer)) if scan.feed(answer[at : at + 1])}


TRIAGE = (
    b'{"',
    b"sent",
    b"iment",
    b'":"',
    b"neg",
    b"ative",
    b'","',
    b"intensity",
    b'":',
    b"2",
    b"}",
)


def test_of_a_json_answer_the_values_decide() -> None:
    assert read(*TRIAGE) == [b"neg", b"ative", b"2"]


def test_with_a_label_only_its_value_decides() -> None:
    assert read(*TRIAGE, label="sentiment") == [b"neg", b"ative"]
    assert read(*TRIAGE, label="intensity") == [b"2"]


def test_the_label_is_complete_when_its_closing_quote_is_read() -> None:
    scan = DecidingTokens("sentiment")
    complete = []
    for token in TRIAGE:
        scan.feed(token)
        complete.append(scan.label_complete)

    assert complete.index(True) == TRIAGE.index(b'","')
    assert all(complete[TRIAGE.index(b'","') :])


def test_a_token_that_straddles_structure_and_value_decides() -> None:
    assert read(b'{"a', b'":"n', b'o","', b'b": 1', b"2}") == [b'":"n', b'o","', b'b": 1', b"2}"]


def test_only_a_top_level_key_is_the_label() -> None:
    tokens = b'{"x":{"', b'label":"', b"wrong", b'"},"la', b'bel":"', b"right", b'"}'

    assert read(*tokens, label="label") == [b"right"]


def test_a_label_in_an_array_of_objects_is_not_top_level() -> None:
    assert read(b'[{"label":"', b"a", b'"}]', label="label") == []


def test_a_structured_label_decides_by_its_values() -> None:
    tokens = b'{"label":{"', b"x", b'":', b"1", b',"y":[', b"2", b"]", b'},"z":', b"3", b"}"

    assert read(*tokens, label="label") == [b"1", b"2"]


def test_a_key_may_be_spelled_with_escapes() -> None:
    assert read(b'{"\\u006cabel":', b"7", b"}", label="label") == [b"7"]


def test_a_repeated_label_decides_once() -> None:
    assert read(b'{"a":', b"1", b',"a":', b"2", b"}", label="a") == [b"1"]


def test_choosing_nothing_is_a_decision_too() -> None:
    assert read(b'{"a":"', b'"', b',"b":[', b"]", b',"c":{', b"}", b"}") == [b'"', b"]", b"}"]


def test_a_json_fence_is_looked_through() -> None:
    tokens = b"```", b"json", b"\n", b'{"a":', b"1", b"}", b"\n", b"```"

    assert read(*tokens) == [b"1"]


def test_of_prose_every_token_decides_but_leading_whitespace() -> None:
    assert read(b"\n ", b"The", b" answer", b" ", b"is 42") == [b"The", b" answer", b" ", b"is 42"]


def test_control_and_empty_tokens_never_decide() -> None:
    assert read(b"yes", b"", b"<|im_end|>", b"</s>", b"<end_of_turn>") == [b"yes"]


def test_a_code_block_is_prose_but_for_its_fence_line() -> None:
    assert read(b"```", b"python", b"\n", b"print", b"(1)") == [b"print", b"(1)"]


@pytest.mark.parametrize(
    "tokens",
    [
        (b"[", b"Note", b"] see", b" below"),
        (b'{"a":', b"nope", b", and", b" more"),
        (b'{"a":', b"1", b"} ", b"Hope", b" it helps"),
        (b'{"a"', b"=", b"1"),
        (b"[1", b",", b"]"),
        (b'{"a":', b"1", b"}", b"```"),
    ],
)
def test_what_stops_being_json_is_prose_from_there_on(tokens: tuple[bytes, ...]) -> None:
    assert read(*tokens)[-1] == tokens[-1]


def test_an_answer_that_breaks_before_its_label_has_no_label_to_be_sure_of() -> None:
    assert read(b'{"a":', b"nope", b',"label":', b"1", label="label") == []
    assert read(b'{"a":1}', b" label is x", label="label") == []


@example({"label": "é\\"}, "label", {"indent": None, "ensure_ascii": False}, [13, 14, 15])
@given(documents, st.none() | keys.filter(bool), spellings, st.lists(st.integers(0, 200)))
def test_the_scan_finds_what_json_says_however_the_bytes_are_cut(
    document: object, label: str | None, spelling: dict[str, int | None], places: list[int]
) -> None:
    text = json.dumps(document, **spelling)  # type: ignore[arg-type]
    expected = deciding_bytes(text, label)

    scan, at = DecidingTokens(label), 0
    for token in cut(text.encode(), places):
        assert scan.feed(token) == any(at <= byte < at + len(token) for byte in expected)
        at += len(token)
    assert scan.label_complete == (isinstance(document, dict) and label in document)


@given(fragments, st.sampled_from([None, "label"]), st.lists(st.integers(0, 200)))
def test_broken_json_is_read_the_same_however_it_is_cut(
    text: str, label: str | None, places: list[int]
) -> None:
    answer = text.encode()
    expected = byte_by_byte(answer, label)

    scan, at = DecidingTokens(label), 0
    for token in cut(answer, places):
        assert scan.feed(token) == any(at <= byte < at + len(token) for byte in expected)
        at += len(token)


@given(st.binary(max_size=60), st.none() | words.filter(bool))
def test_no_bytes_are_too_strange_to_scan(answer: bytes, label: str | None) -> None:
    byte_by_byte(answer, label)


# Reasoning


def answered(*tokens: bytes, label: str | None = None) -> list[bytes]:
    """The tokens that decide in the end: those since the answer last began anew."""
    scan, restarts = DecidingTokens(label), 0
    found: list[bytes] = []
    for token in tokens:
        decides = scan.feed(token)
        if scan.restarts != restarts:
            found, restarts = [], scan.restarts
        if decides:
            found.append(token)
    return found


def test_reasoning_does_not_decide_the_answer_after_it_does() -> None:
    reasoning = (b"<think>", b"\n", b"Hm", b", {", b"x", b"}", b"\n", b"</think>", b"\n\n")

    assert answered(*reasoning, b"Yes", b".") == [b"Yes", b"."]
    assert answered(*reasoning, *TRIAGE) == [b"neg", b"ative", b"2"]
    assert answered(*reasoning, *TRIAGE, label="intensity") == [b"2"]


def test_reasoning_whose_beginning_stood_in_the_prompt_is_known_by_its_end() -> None:
    assert answered(b"Hm", b", well", b"</think>", b"\n", b"Yes") == [b"Yes"]
    assert answered(b"[THINK]", b"Hm", b"[/THINK]", b"Yes") == [b"Yes"]


def test_reasoning_that_never_ends_decides_nothing() -> None:
    assert answered(b"<think>", b"Hm", b"<", b"b", b">") == []


def test_a_tag_of_reasoning_may_be_spelled_out() -> None:
    assert answered(b"<", b"th", b"ink", b">Hm", b"</", b"think", b">", b"Yes") == [b"Yes"]
    assert answered(b"<", b"b", b">", b"Yes") == [b"b", b">", b"Yes"]
    assert answered(b"Hm", b" <", b"</", b"think>", b"Yes") == [b"Yes"]


def test_a_word_about_a_tag_within_the_answer_hides_nothing_after_it() -> None:
    assert answered(b"Use", b" ", b"<think>", b" tags") == [b"Use", b" ", b"<think>", b" tags"]


@given(st.binary(max_size=30) | fragments.map(str.encode), st.lists(st.integers(0, 200)))
def test_what_was_thought_changes_nothing_of_how_the_answer_is_read(
    thought: bytes, places: list[int]
) -> None:
    if any(marker in thought for marker in (b"<", b"[/")):
        return
    scan = DecidingTokens()
    for token in cut(b"<think>" + thought + b"</think>", places):
        scan.feed(token)

    assert [scan.feed(token) for token in TRIAGE] == [
        token in {b"neg", b"ative", b"2"} for token in TRIAGE
    ]
