import json
from collections.abc import Callable
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from router.deciding import DecidingTokens
from tests.router.json_reference import deciding_bytes

Call = tuple[str, dict[str, object]]
Piece = tuple[str, bool]
"""A part of an answer, and whether its bytes decide."""


def decided(*tokens: bytes, label: str | None = None) -> list[bytes]:
    """The tokens that decide in the end."""
    scan = DecidingTokens(label, tools=True)
    found: list[bytes] = []
    restarts = 0
    for token in tokens:
        decides = scan.feed(token)
        if scan.restarts != restarts:
            found.clear()
            restarts = scan.restarts
        found += [token] if decides else []
    return found


HERMES = (b"<tool_call>", b'\n{"', b"name", b'": "', b"weather", b'", "', b"arguments", b'": {"')
CITY = (b"city", b'": "', b"Bonn", b'"}}', b"\n", b"</tool_call>")


def test_a_call_is_decided_by_its_name_and_the_values_of_its_arguments() -> None:
    assert decided(*HERMES, *CITY) == [b"weather", b"Bonn"]


def test_several_calls_in_one_answer_all_decide() -> None:
    second = (b"city", b'": "', b"Ulm", b'"}}', b"</tool_call>")

    assert decided(*HERMES, *CITY, b"\n", *HERMES, *second) == [
        b"weather",
        b"Bonn",
        b"weather",
        b"Ulm",
    ]


def test_what_was_said_before_a_call_does_not_decide_after_all() -> None:
    assert decided(b"Let", b" me", b" see.", b"\n", *HERMES, *CITY) == [b"weather", b"Bonn"]


def test_a_call_decides_whatever_the_label() -> None:
    assert decided(b"Well", *HERMES, *CITY, label="city") == [b"weather", b"Bonn"]


def test_a_random_id_and_a_type_are_no_choice() -> None:
    call = (b"[TOOL_CALLS]", b"[{", b'"type":"', b"function", b'","', b'name":"', b"f", b'","id":"')
    rest = (b"x7Qa91", b'","', b'arguments":{"n":', b"3", b"}}]")

    assert decided(*call, *rest) == [b"f", b"3"]


def test_a_nested_function_is_read_like_the_call() -> None:
    call = (b"<tool_call>", b'{"type":"', b"function", b'","function":{"name":"', b"f")

    assert decided(*call, b'","arguments":{}', b"}}") == [b"f", b'","arguments":{}']


def test_arguments_inside_a_string_decide() -> None:
    call = (b'<tool_call>{"name":"', b"f", b'","arguments":"', b"{", b'\\"n\\":', b"3", b"}", b'"}')

    assert decided(*call) == [b"f", b"{", b'\\"n\\":', b"3", b"}"]


def test_an_answer_that_is_a_call_needs_no_marker() -> None:
    llama = (b'{"name": "', b"f", b'", "parameters": {"n": ', b"3", b"}}", b"; ")
    second = (b'{"name": "', b"g", b'", "parameters": {"n": ', b"4", b"}}")

    assert decided(*llama, *second) == [b"f", b"3", b"g", b"4"]


def test_a_tag_that_is_spelled_out_is_a_tag() -> None:
    assert decided(b"<", b"tool", b"_", b"call", b">", *HERMES[1:], *CITY) == [b"weather", b"Bonn"]


def test_without_tools_the_same_words_are_prose() -> None:
    scan = DecidingTokens()

    assert [token for token in (b"<tool_call>", *HERMES[1:], *CITY) if scan.feed(token)][:3] == [
        b"<tool_call>",
        HERMES[1],
        b"name",
    ]
    assert not scan.in_calls


def test_code_in_a_value_between_tags_decides_to_the_last_byte() -> None:
    head = (b"<tool_call>", b"<function=", b"write", b">", b"<parameter=", b"text", b">", b"\n")
    code = (b"if", b" a", b"<", b"b", b"<>", b" {", b"`x`", b":", b"[", b"1", b"]", b"</p", b">")
    tail = (b"\n", b"</", b"parameter", b">", b"</function>", b"</tool_call>")

    assert decided(*head, *code, *tail) == [b"write", *code[:2], *code[3:-2], b">"]


def test_a_list_that_names_nothing_that_is_called_is_prose() -> None:
    assert decided(b"[", b"Note", b"]", b" see", b" below") == [b"Note", b"]", b" see", b" below"]
    assert decided(b"[", b"1", b",", b" 2", b"]") == [b"1", b" 2"]
    assert decided(b"[", b"true", b"]") == [b"true"]


# Every format, however the bytes are cut


def values_of(arguments: dict[str, object]) -> list[Piece]:
    text = json.dumps(arguments, ensure_ascii=False)
    deciding = deciding_bytes(text, None)
    pieces, at = [], 0
    for char in text:
        pieces.append((char, at in deciding))
        at += len(char.encode())
    return pieces


def envelope(call: Call, arguments: str = "arguments") -> list[Piece]:
    head = [('{"name": "', False), (call[0], True), (f'", "{arguments}": ', False)]
    return [*head, *values_of(call[1]), ("}", False)]


def hermes(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = []
    for call in calls:
        found += [("<tool_call>\n", False), *envelope(call), ("\n</tool_call>\n", False)]
    return found


def listed(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = [("[TOOL_CALLS] [", False)]
    for call in calls:
        found += [*envelope(call), (", ", False)]
    return [*found[:-1], ("]", False)]


def mistral(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = []
    for name, arguments in calls:
        found += [("[TOOL_CALLS]", False), (name, True), ("[CALL_ID]a1B2c3D4e", False)]
        found += [("[ARGS]", False), *values_of(arguments)]
    return found


def llama(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = [("<|python_tag|>", False)]
    for call in calls:
        found += [*envelope(call, "parameters"), ("; ", False)]
    return found[:-1]


def llama_function(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = []
    for name, arguments in calls:
        found += [("<function=", False), (name, True), (">", False), *values_of(arguments)]
        found += [("</function>", False)]
    return found


def kimi(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = [("<|tool_calls_section_begin|>", False)]
    for name, arguments in calls:
        found += [("<|tool_call_begin|>", False), (name, True), ("<|tool_call_args|>", False)]
        found += [*values_of(arguments), ("<|tool_call_end|>", False)]
    return found


def tagged(key: str, value: object, begin: str, middle: str, end: str) -> list[Piece]:
    words = [(char, not char.isspace()) for char in str(value)]
    return [(begin, False), (key, False), (middle, False), *words, (end, False)]


def coder(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = []
    for name, arguments in calls:
        found += [("<tool_call>\n<function=", False), (name, True), (">\n", False)]
        for key, value in arguments.items():
            found += tagged(key, value, "<parameter=", ">\n", "\n</parameter>\n")
        found += [("</function>\n</tool_call>", False)]
    return found


def glm(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = []
    for name, arguments in calls:
        found += [("<tool_call>", False), (name, True), ("\n", False)]
        for key, value in arguments.items():
            middle = "</arg_key>\n<arg_value>"
            found += tagged(key, value, "<arg_key>", middle, "</arg_value>\n")
        found += [("</tool_call>", False)]
    return found


def pythonic(calls: list[Call]) -> list[Piece]:
    found: list[Piece] = []
    for name, arguments in calls:
        found += [("[" if not found else ", ", False), (name, True), ("(", False)]
        for key, value in arguments.items():
            quoted = repr(value) if isinstance(value, str) else str(value)
            inner = [(char, True) for char in quoted]
            if isinstance(value, str):
                inner = [(quoted[0], False), *inner[1:-1], (quoted[0], not value)]
            found += [(f"{key}=", False), *inner, (",", False)]
        found += [(")", False)]
    return [*found, ("]", False)]


names = st.sampled_from(["get_weather", "f", "transfer", "now2", "list_files"])
keys = st.sampled_from(["city", "n", "true", "x1"])
plain_words = st.text(st.characters(categories=["L", "N"]) | st.just(" "), max_size=6)
leaves = st.integers() | st.booleans() | plain_words
flat = st.lists(st.tuples(names, st.dictionaries(keys, leaves, max_size=3)), min_size=1, max_size=3)
deep_values = st.recursive(
    st.none() | leaves | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=4,
)
deep = st.lists(
    st.tuples(names, st.dictionaries(keys, deep_values, max_size=3)), min_size=1, max_size=3
)
places = st.just(list(range(600))) | st.lists(st.integers(0, 600), max_size=60)
IN_JSON = [hermes, listed, mistral, llama, llama_function, kimi]


def check(pieces: list[Piece], cuts: list[int]) -> None:
    answer = "".join(text for text, _ in pieces).encode()
    expected = [decides for text, decides in pieces for _ in text.encode()]
    scan = DecidingTokens(tools=True)
    found: list[bool] = []
    edges = [0, *sorted(place % (len(answer) + 1) for place in cuts), len(answer)]
    restarts = 0
    for start, end in pairwise(edges):
        decides = scan.feed(answer[start:end])
        if scan.restarts != restarts:  # what came before does not decide after all
            restarts = scan.restarts
            found = [False] * len(found)
        found.append(decides)
    assert found == [any(expected[start:end]) for start, end in pairwise(edges)]
    assert scan.in_calls


prose = st.sampled_from(["", "I will look [it] up.\n", "<think>f? {</think>\n", "f?</think>"])


@given(st.sampled_from(IN_JSON), prose, deep, places)
def test_calls_in_json_are_seen_through(
    written: Callable[[list[Call]], list[Piece]], before: str, calls: list[Call], cuts: list[int]
) -> None:
    check([(before, False), *written(calls)], cuts)


@given(st.sampled_from([coder, glm]), prose, flat, places)
def test_calls_in_tags_are_seen_through(
    written: Callable[[list[Call]], list[Piece]], before: str, calls: list[Call], cuts: list[int]
) -> None:
    check([(before, False), *written(calls)], cuts)


@given(flat, places)
def test_calls_in_python_are_seen_through(calls: list[Call], cuts: list[int]) -> None:
    check(pythonic(calls), cuts)


scraps = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<function=", "<parameter="),
        *(
            "<think>",
            "</think>",
            "<\uff5ctool▁calls▁begin\uff5c>",
            '{"name":',
            "arguments",
            "f",
            "T",
            "1",
        ),
        *("(", ")", "[", "]", "{", "}", '"', "'", "=", ",", ":", " ", "\n", "`", "<", ">"),
        *("<|", "|>", "\\", "é"),
    ]
)


@example("[T", [])
@example("<tool_call>[A(x=1)]", [3])
@given(st.lists(scraps, max_size=25).map("".join), places)
def test_broken_calls_are_read_the_same_however_they_are_cut(text: str, cuts: list[int]) -> None:
    answer = text.encode()
    one_by_one = DecidingTokens(tools=True)
    single = [one_by_one.feed(answer[at : at + 1]) for at in range(len(answer))]

    whole = DecidingTokens(tools=True)
    edges = [0, *sorted(place % (len(answer) + 1) for place in cuts), len(answer)]
    for start, end in pairwise(edges):
        token, restarts = answer[start:end], whole.restarts
        decides = whole.feed(token)
        if token.startswith(b"<|") and token.endswith(b"|>"):
            return  # a control token is told by being one token
        if whole.restarts == restarts:
            assert decides == any(single[start:end])
    assert whole.restarts == one_by_one.restarts
    assert whole.in_calls == one_by_one.in_calls


@given(st.binary(max_size=60))
def test_no_bytes_are_too_strange_to_read_as_a_call(answer: bytes) -> None:
    for marker in (b"<tool_call>", b"[TOOL_CALLS]", b"<function=", b"[f(", b"[", b"{"):
        scan = DecidingTokens(tools=True)
        scan.feed(marker + answer)
