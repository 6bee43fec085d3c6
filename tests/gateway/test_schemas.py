import socket
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.schemas import Schemas, UnusableSchemaError, compiled

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def raw(schema: object) -> bytes:
    return msgspec.json.encode(schema)


def doubling(levels: int, ends_in: Mapping[str, object]) -> bytes:
    """Each definition refers to the next one twice: 2^levels ways to its end."""
    definitions: dict[str, object] = {
        f"a{level}": {"allOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)
    }
    definitions[f"a{levels}"] = ends_in
    return raw({"$ref": "#/$defs/a0", "$defs": definitions})


class Counted:
    def __init__(self) -> None:
        self.unusable = 0

    def __call__(self) -> None:
        self.unusable += 1


def test_a_value_is_held_to_the_schema() -> None:
    fault = compiled(raw(CITY))

    assert fault({"city": "Bonn"}) is None
    wrong: list[object] = [{"city": 1}, {}, {"city": "Bonn", "x": 1}, [], None]
    assert all(fault(value) for value in wrong)


@pytest.mark.parametrize(
    "draft",
    ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema"],
)
def test_an_older_draft_is_read_as_itself(draft: str) -> None:
    pair = {"$schema": draft, "items": [{"type": "string"}, {"type": "number"}]}
    fault = compiled(raw(pair))

    assert fault(["a", 1]) is None
    assert fault([1, "a"])


def test_a_reference_inside_the_schema_is_followed() -> None:
    tree = {
        "$id": "https://example.com/tree",
        "$defs": {"a/b": {"type": "object", "properties": {"left": {"$ref": "#/$defs/a~1b"}}}},
        "$ref": "#/$defs/a~1b",
    }
    fault = compiled(raw(tree))

    assert fault({"left": {"left": {}}}) is None
    assert fault({"left": {"left": 1}})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 10_000, "nested too deep"),
        (b'{"items":' * 300 + b"{}" + b"}" * 300, "nested too deep"),
        (b'{"const":"\\ud800"}', "not JSON"),
        (b"3", "no JSON schema"),
        (raw({"type": "objekt"}), "no JSON schema, at /type"),
        (raw({"properties": {"a": {"pattern": "("}}}), "at /properties/a/pattern"),
        (raw({"$schema": "http://json-schema.org/draft-04/schema#"}), "not a draft we know"),
        (raw({"$ref": "#/$defs/nowhere"}), "points to nothing"),
        (raw({"$ref": "#anchor"}), "leaves the schema"),
        (raw({"$ref": "other.json"}), "leaves the schema"),
        (raw({"properties": {"a": {"$id": "b"}}}), r"\$id is not supported"),
        (raw({"$dynamicRef": "#a"}), r"\$dynamicRef is not supported"),
        (raw({"$defs": {"unused": {"$anchor": "a"}}}), r"\$anchor is not supported"),
        (raw({"description": "x" * 300_000}), "bytes are more than"),
        (raw({"enum": [0] * 110_000}), "steps to read"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(schema: bytes, said: str) -> None:
    with pytest.raises(UnusableSchemaError, match=said):
        compiled(schema)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{port}/schema", "file:/etc/hostname"])
def test_nothing_is_fetched(uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        with pytest.raises(UnusableSchemaError, match="leaves the schema"):
            compiled(raw({"$ref": uri.format(port=server.getsockname()[1])}))
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "end", [{"type": "object"}, {"type": "object", "properties": {"x": {"$ref": "#/$defs/a0"}}}]
)
def test_references_that_multiply_are_refused_before_they_cost_anything(
    end: dict[str, object],
) -> None:
    assert compiled(doubling(4, end))({}) is None
    for levels in (20, 40, 200):
        with pytest.raises(UnusableSchemaError, match="references written out"):
            compiled(doubling(levels, end))


def test_many_definitions_that_build_on_each_other_are_no_such_thing() -> None:
    levels = 300
    definitions: dict[str, object] = {
        f"a{level}": {"properties": {"next": {"$ref": f"#/$defs/a{level + 1}"}}}
        for level in range(levels)
    }
    definitions[f"a{levels}"] = {"type": "object"}

    assert compiled(raw({"$ref": "#/$defs/a0", "$defs": definitions}))({"next": {}}) is None


def test_a_recursive_union_as_data_classes_make_it_is_no_such_thing() -> None:
    def node(kind: str) -> dict[str, object]:
        child = {"anyOf": [{"$ref": "#/$defs/any"}, {"type": "null"}]}
        return {"type": "object", "properties": {"kind": {"const": kind}, "child": child}}

    kinds = [f"k{number}" for number in range(20)]
    union = {"anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds]}
    definitions = {"any": union, **{kind: node(kind) for kind in kinds}}
    fault = compiled(raw({"$ref": "#/$defs/any", "$defs": definitions}))

    deep: object = None
    for _ in range(50):
        deep = {"kind": "k19", "child": deep}
    assert fault(deep) is None
    assert fault({"kind": "k20", "child": deep})


def test_a_value_too_deep_or_no_text_at_all_is_a_fault_and_no_error() -> None:
    deep: object = []
    for _ in range(5000):
        deep = [deep]

    assert compiled(raw({"const": 1}))(deep)
    assert compiled(raw({"type": "string", "maxLength": 1}))("\ud800")


def test_a_schema_is_compiled_once_and_a_broken_one_counted_once() -> None:
    counted = Counted()
    schemas = Schemas(counted)

    assert schemas.validator(raw(CITY)) is schemas.validator(raw(CITY)) is not None
    assert schemas.validator(b"{") is schemas.validator(b"{") is None
    assert counted.unusable == 1


def test_the_schema_that_was_not_used_for_longest_is_dropped() -> None:
    schemas = Schemas(Counted(), kept=2)
    first, second, third = (raw({"const": number}) for number in range(3))
    kept, dropped = schemas.validator(first), schemas.validator(second)
    schemas.validator(first)
    schemas.validator(third)

    assert schemas.validator(first) is kept
    assert schemas.validator(second) is not dropped


keywords = st.sampled_from(
    ["type", "$ref", "$defs", "properties", "items", "allOf", "not", "enum", "$schema", "pattern"]
)
pointers = st.sampled_from(["#", "#/$defs", "#/$defs/a", "#/items", "object", "#/allOf/0", "#/%"])
leaves = st.none() | st.booleans() | st.integers(-3, 3) | pointers
schemas_of_any_kind = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keywords | st.just("a"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(schemas_of_any_kind, schemas_of_any_kind)
def test_any_json_compiles_or_is_refused_and_rules_on_any_value(
    schema: object, value: object
) -> None:
    try:
        fault = compiled(raw(schema))
    except UnusableSchemaError:
        return
    assert fault(value) is None or fault(value)


@given(st.binary(max_size=40))
def test_no_bytes_are_too_strange_to_refuse(schema: bytes) -> None:
    try:
        compiled(schema)
    except UnusableSchemaError:
        return
