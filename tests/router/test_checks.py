from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.checks import (
    ANYTHING,
    Calls,
    Check,
    Expected,
    Said,
    ToolCall,
    failed,
    json_object,
    needs_whole,
)
from router.trace import Reason


def has_city(value: object) -> str | None:
    return None if isinstance(value, dict) and "city" in value else "has no city"


WEATHER = Expected(tools={"weather": has_city, "now": json_object})
JSON = Expected(json=has_city)
GOOD, BAD = '{"city": "Bonn"}', '{"town": "Bonn"}'


def fails(check: Check, said: Said, expected: Expected = ANYTHING) -> bool:
    return failed([check], said, expected) is check


def calls(*named: tuple[str, str | None], text: str | None = None) -> Said:
    tool_calls = tuple(ToolCall(*call) for call in named)
    return Said(text=text, tool_calls=tool_calls, finish_reason="tool_calls")


@pytest.mark.parametrize("check", Check)
def test_every_check_has_a_reason_of_its_own(check: Check) -> None:
    assert Reason(f"check_failed:{check}")


def test_the_first_check_in_the_routes_order_is_named() -> None:
    nothing = Said(text=" ", finish_reason="length")

    assert failed([Check.EMPTY, Check.TRUNCATED], nothing, ANYTHING) is Check.EMPTY
    assert failed([Check.TRUNCATED, Check.EMPTY], nothing, ANYTHING) is Check.TRUNCATED
    assert failed([], nothing, ANYTHING) is None
    assert failed(list(Check), Said("Yes.", finish_reason="stop"), ANYTHING) is None


# json_schema


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (GOOD, False),
        (f"\n {GOOD} \n", False),
        (BAD, True),
        (GOOD[:-1], True),
        (f"```json\n{GOOD}\n```", True),
        (f"{GOOD} Hope it helps!", True),
        ("", True),
        (None, True),
        ('{"city": "\ud800"}', True),
        ("[" * 100_000, True),
        ("9" * 100_000, True),
    ],
)
def test_the_whole_text_is_the_json_that_was_asked_for(text: str | None, wrong: bool) -> None:  # noqa: FBT001 - a column of the table
    assert fails(Check.JSON_SCHEMA, Said(text), JSON) is wrong


def test_text_without_a_wish_for_json_may_be_anything() -> None:
    assert not fails(Check.JSON_SCHEMA, Said(BAD[:-1]))


def test_a_call_or_a_refusal_stands_in_for_json() -> None:
    assert not fails(Check.JSON_SCHEMA, calls(("weather", GOOD)), JSON)
    assert not fails(Check.JSON_SCHEMA, calls(("weather", GOOD), text="\n"), JSON)
    assert fails(Check.JSON_SCHEMA, calls(("weather", GOOD), text="So:"), JSON)
    assert not fails(Check.JSON_SCHEMA, Said(refusal="I cannot say."), JSON)


# tool_arguments


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (calls(("weather", GOOD)), False),
        (calls(("weather", GOOD), ("now", "{}")), False),
        (calls(("weather", GOOD), ("weather", BAD)), True),
        (calls(("weather", GOOD[:-1])), True),
        (calls(("weather", "")), True),
        (calls(("now", "[]")), True),
        (calls(("news", GOOD)), True),
        (Said("It rains."), False),
        (Said('\n<tool_call>{"name": "weather"'), True),
        (Said("[TOOL_CALLS]weather{"), True),
        (Said("A <tool_call> is written so."), False),
    ],
)
def test_a_call_names_a_tool_that_was_offered_with_arguments_that_fit(
    said: Said,
    wrong: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert fails(Check.TOOL_ARGUMENTS, said, WEATHER) is wrong


def test_a_call_where_no_tool_was_offered_fails() -> None:
    assert fails(Check.TOOL_ARGUMENTS, calls(("weather", GOOD)))
    assert not fails(Check.TOOL_ARGUMENTS, Said("<tool_call>"))


def test_a_tool_that_takes_free_text_is_called_with_any() -> None:
    assert not fails(Check.TOOL_ARGUMENTS, calls(("weather", None)), WEATHER)


def test_tool_choice_is_kept() -> None:
    must, must_not = replace(WEATHER, calls=Calls.MUST), replace(WEATHER, calls=Calls.MUST_NOT)
    one = replace(WEATHER, parallel_calls=False)
    call, prose = calls(("weather", GOOD)), Said("It rains.")

    assert fails(Check.TOOL_ARGUMENTS, prose, must)
    assert not fails(Check.TOOL_ARGUMENTS, call, must)
    assert fails(Check.TOOL_ARGUMENTS, call, must_not)
    assert not fails(Check.TOOL_ARGUMENTS, prose, must_not)
    assert not fails(Check.TOOL_ARGUMENTS, call, one)
    assert fails(Check.TOOL_ARGUMENTS, calls(("now", "{}"), ("now", "{}")), one)


# truncated


@pytest.mark.parametrize(
    ("said", "max_tokens", "wrong"),
    [
        (Said("Yes", finish_reason="stop"), None, False),
        (Said("Yes and", finish_reason="length"), None, True),
        (Said("Yes and", finish_reason="max_output_tokens"), None, True),
        (Said("Yes and", finish_reason="length"), 2, False),
        (Said("Yes and", finish_reason="length", tokens=2), 2, False),
        (Said("Yes and", finish_reason="length", tokens=2), 500, True),
        (Said(None, (ToolCall("now", '{"ci'),), "length"), 2, True),
        (Said(None, (ToolCall("now", "{}"),), "length"), 2, False),
    ],
)
def test_an_answer_that_was_cut_off_before_the_clients_own_limit_fails(
    said: Said,
    max_tokens: int | None,
    wrong: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert fails(Check.TRUNCATED, said, Expected(max_tokens=max_tokens)) is wrong


def test_json_that_was_cut_off_fails_at_any_limit() -> None:
    limited = replace(JSON, max_tokens=3)

    assert fails(Check.TRUNCATED, Said(GOOD[:-1], finish_reason="length"), limited)
    assert not fails(Check.TRUNCATED, Said(GOOD, finish_reason="length"), limited)


# empty, refusal, repetition


def test_nothing_but_whitespace_is_empty() -> None:
    for text in (None, "", " \n\t\u3000"):
        assert fails(Check.EMPTY, Said(text, finish_reason="stop"))
        assert fails(Check.EMPTY, Said(text, reasoning="Let me think"))
    assert not fails(Check.EMPTY, Said("."))
    assert not fails(Check.EMPTY, calls(("now", "{}")))
    assert not fails(Check.EMPTY, Said(refusal="No."))
    assert not fails(Check.EMPTY, Said(""), Expected(max_tokens=0))


def test_a_refusal_is_told_by_its_field_its_finish_or_its_opening() -> None:
    assert fails(Check.REFUSAL, Said(refusal="I cannot say."))
    assert fails(Check.REFUSAL, Said("Well", finish_reason="content_filter"))
    assert fails(Check.REFUSAL, Said("I'm sorry, but I can't help with that."))
    assert not fails(Check.REFUSAL, Said("Sorry to hear that!"))
    assert not fails(Check.REFUSAL, calls(("now", "{}"), text="I can't tell you yet, let me see."))


def test_a_loop_is_found_in_words_in_calls_and_in_reasoning_without_words() -> None:
    lost = "and so it goes on " * 20
    again = [("now", "{}")] * 8

    assert fails(Check.REPETITION, Said(lost, finish_reason="length"))
    assert fails(Check.REPETITION, Said(None, reasoning=lost, finish_reason="length"))
    assert not fails(Check.REPETITION, Said("Yes.", reasoning=lost, finish_reason="stop"))
    assert fails(Check.REPETITION, calls(*again))
    assert not fails(Check.REPETITION, calls(*again[1:]))
    assert not fails(Check.REPETITION, calls(*again[1:], ("weather", GOOD)))


# Streams


def test_of_a_stream_that_goes_on_only_a_loop_or_a_refusal_is_certain() -> None:
    opening = Said(" ", ended=False)
    expected = replace(WEATHER, json=has_city, calls=Calls.MUST)

    assert failed(list(Check), opening, expected) is None
    assert fails(Check.REFUSAL, Said("I can't help", ended=False), expected)
    assert fails(Check.REPETITION, Said("round and round " * 20, ended=False), expected)


def test_a_stream_is_held_to_its_end_where_a_check_reads_the_whole() -> None:
    silent = replace(WEATHER, calls=Calls.MUST_NOT)

    assert needs_whole([Check.JSON_SCHEMA], JSON)
    assert needs_whole([Check.TOOL_ARGUMENTS], WEATHER)
    assert not needs_whole([Check.TOOL_ARGUMENTS], JSON)
    assert not needs_whole([Check.JSON_SCHEMA], WEATHER)
    assert not needs_whole([Check.TOOL_ARGUMENTS], silent)
    assert not needs_whole(list(Check), ANYTHING)
    assert not needs_whole([], replace(WEATHER, json=has_city))


texts = st.none() | st.text(st.characters(), max_size=60) | st.sampled_from([GOOD, BAD, "["])
names = st.sampled_from(["weather", "now", "news"])
saids = st.builds(
    Said,
    text=texts,
    tool_calls=st.lists(st.builds(ToolCall, names, texts), max_size=3).map(tuple),
    finish_reason=st.sampled_from([None, "stop", "length", "tool_calls", "content_filter"]),
    refusal=texts,
    reasoning=texts,
    tokens=st.none() | st.integers(0, 9),
    ended=st.booleans(),
)
requests = st.builds(
    Expected,
    json=st.sampled_from([None, has_city]),
    tools=st.sampled_from([{}, WEATHER.tools]),
    calls=st.sampled_from(Calls),
    parallel_calls=st.booleans(),
    max_tokens=st.none() | st.integers(0, 9),
)


@given(st.lists(st.sampled_from(Check), unique=True), saids, requests)
def test_whatever_a_model_says_is_ruled_on(
    checks: list[Check], said: Said, expected: Expected
) -> None:
    found = failed(checks, said, expected)

    alone = [check for check in checks if fails(check, said, expected)]
    assert found is (alone[0] if alone else None)
