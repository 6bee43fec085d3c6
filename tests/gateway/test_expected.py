from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.expected import may_call, read_expected
from gateway.schemas import Schemas
from router.checks import ANYTHING, Calls, Expected

CITY = {"type": "object", "required": ["city"]}
GOOD: dict[str, object] = {"city": "Bonn"}
BAD: dict[str, object] = {"town": "Bonn"}

CHAT_TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": CITY}},
    {"type": "function", "function": {"name": "now"}},
    {"type": "custom", "custom": {"name": "shell"}},
]
RESPONSES_TOOLS = [
    {"type": "function", "name": "weather", "parameters": CITY, "strict": True},
    {"type": "function", "name": "now"},
    {"type": "custom", "name": "shell"},
    {"type": "web_search"},
]


def read(**fields: object) -> Expected:
    raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode(msgspec.json.encode(fields))
    return read_expected(raw, Schemas(lambda: None))


def test_a_plain_request_allows_anything() -> None:
    assert read(model="m", messages=[], temperature=1) is ANYTHING


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": CITY}}},
        {"response_format": {"type": "json_object", "schema": CITY}},
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": CITY}}},
        {"structured_outputs": {"json": CITY}},
    ],
)
def test_json_is_asked_for_by_schema(fields: Mapping[str, object]) -> None:
    validator = read(**fields).json

    assert validator is not None
    assert validator(GOOD) is None
    assert validator(BAD)


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object"}},
        {"text": {"format": {"type": "json_object"}}},
        {"structured_outputs": {"json_object": True}},
    ],
)
def test_json_is_asked_for_as_any_object(fields: Mapping[str, object]) -> None:
    validator = read(**fields).json

    assert validator is not None
    assert validator(BAD) is None
    assert validator([])


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "text"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "objekt"}}}},
        {"response_format": None},
        {"response_format": 3},
        {"text": {"verbosity": "low"}},
        {"structured_outputs": {"regex": "a"}},
    ],
)
def test_no_json_is_expected_where_none_is_asked_for_or_the_wish_is_broken(
    fields: Mapping[str, object],
) -> None:
    assert read(**fields).json is None


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": CHAT_TOOLS},
        {"tools": RESPONSES_TOOLS},
        {"functions": [each.get("function", {"name": "shell"}) for each in CHAT_TOOLS]},
    ],
)
def test_tools_are_read_in_each_endpoints_form(fields: Mapping[str, object]) -> None:
    expected = read(**fields)

    assert list(expected.tools) == ["weather", "now", "shell"]
    assert expected.tools["weather"](GOOD) is None
    assert expected.tools["weather"](BAD)
    assert expected.tools["now"](BAD) is None
    assert expected.tools["now"]([])
    assert expected.calls is Calls.MAY
    assert expected.parallel_calls


def test_of_a_tool_whose_schema_is_broken_arguments_are_still_an_object() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "objekt"}}}
    validator = read(tools=[tool]).tools["f"]

    assert validator({"anything": 1}) is None
    assert validator([])


ALLOWED = {"tools": [{"type": "function", "name": "now"}], "mode": "required"}


@pytest.mark.parametrize(
    ("choice", "calls", "names"),
    [
        (None, Calls.MAY, 3),
        ("auto", Calls.MAY, 3),
        ("none", Calls.MUST_NOT, 3),
        ("required", Calls.MUST, 3),
        ("any", Calls.MAY, 3),
        (7, Calls.MAY, 3),
        ({"type": "function", "function": {"name": "now"}}, Calls.MUST, ["now"]),
        ({"type": "function", "name": "now"}, Calls.MUST, ["now"]),
        ({"type": "custom", "custom": {"name": "shell"}}, Calls.MUST, ["shell"]),
        ({"name": "now"}, Calls.MUST, ["now"]),
        ({"type": "web_search"}, Calls.MAY, 3),
        ({"type": "allowed_tools", "allowed_tools": ALLOWED}, Calls.MUST, ["now"]),
        ({"type": "allowed_tools", **ALLOWED, "mode": "auto"}, Calls.MAY, ["now"]),
    ],
)
def test_the_tool_choice_says_whether_and_which(
    choice: object, calls: Calls, names: list[str] | int
) -> None:
    for name in ("tool_choice", "function_call"):
        expected = read(tools=CHAT_TOOLS, **{name: choice})

        assert expected.calls is calls
        assert names in (list(expected.tools), len(expected.tools))


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7, "max_tokens": 9}, 7),
        ({"max_output_tokens": 3}, 3),
        ({"max_tokens": None, "messages": []}, None),
        ({"max_tokens": "many", "messages": []}, None),
        ({"prompt": "Once"}, 16),
        ({"prompt": [1, 2]}, 16),
        ({"prompt": "Once", "max_tokens": 99}, 99),
        ({"prompt": {"id": "pmpt_1"}}, None),
    ],
)
def test_the_clients_own_limit(fields: Mapping[str, object], limit: int | None) -> None:
    assert read(**fields).max_tokens == limit


def test_parallel_calls_can_be_declined() -> None:
    assert not read(tools=CHAT_TOOLS, parallel_tool_calls=False).parallel_calls


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({}, False),
        ({"tools": []}, False),
        ({"tools": None}, False),
        ({"tools": CHAT_TOOLS}, True),
        ({"functions": [{"name": "f"}]}, True),
        ({"tools": CHAT_TOOLS, "tool_choice": "none"}, False),
        ({"tools": CHAT_TOOLS, "tool_choice": "required"}, True),
    ],
)
def test_whether_a_tool_may_be_called_at_all(fields: Mapping[str, object], may: bool) -> None:  # noqa: FBT001 - a column of the table
    raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode(msgspec.json.encode(fields))

    assert may_call(raw) is may


known = st.sampled_from(
    ["type", "function", "name", "parameters", "schema", "json_schema", "format", "mode", "tools"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 99) | st.sampled_from(["function", "json_schema"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known, inner, max_size=4),
    max_leaves=8,
)
wishes = st.sampled_from(
    [
        *("response_format", "text", "structured_outputs", "tools", "functions", "tool_choice"),
        *("function_call", "parallel_tool_calls", "max_tokens", "prompt"),
    ]
)


@given(st.dictionaries(wishes, json_values, max_size=5))
def test_no_wish_is_too_strange_to_read(fields: dict[str, object]) -> None:
    assert isinstance(read(**fields), Expected)


def test_a_wish_nested_very_deep_is_passed_over() -> None:
    deep = msgspec.Raw(b'{"json_schema":' * 50_000 + b"{}" + b"}" * 50_000)

    for name in ("response_format", "tools", "tool_choice"):
        assert read_expected({name: deep}, Schemas(lambda: None)).json is None
