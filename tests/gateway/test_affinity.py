"""The turns of one conversation belong together, and those of different ones do not."""

from typing import Any

import msgspec
import pytest

from gateway.affinity import Affinity, affinity_of

SYSTEM = {"role": "system", "content": "You are kind. " * 300}


def of(kind: Affinity, **fields: Any) -> bytes | None:
    raw = msgspec.json.encode(fields)
    return affinity_of(kind, msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))


def asks(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("field", ["messages", "input"])
def test_the_turns_of_a_conversation_share_a_prefix(field: str) -> None:
    first = [SYSTEM, asks("What is a gate?")]
    later = [*first, {"role": "assistant", "content": "A rule."}, asks("And a window?")]
    other = [SYSTEM, asks("What is a student?")]

    assert of(Affinity.PREFIX, **{field: first}) == of(Affinity.PREFIX, **{field: later})
    assert of(Affinity.PREFIX, **{field: first}) != of(Affinity.PREFIX, **{field: other})


@pytest.mark.parametrize("field", ["prompt", "input"])
def test_a_prompt_is_known_by_its_beginning(field: str) -> None:
    long = "Once upon a time " * 100

    assert of(Affinity.PREFIX, **{field: long}) == of(Affinity.PREFIX, **{field: long + "more"})
    assert of(Affinity.PREFIX, **{field: "a"}) != of(Affinity.PREFIX, **{field: "b"})


def test_what_the_client_says_comes_in_the_order_of_how_much_it_means_it() -> None:
    assert of(Affinity.USER, prompt_cache_key="k", user="u") == b'"k"'
    assert of(Affinity.USER, safety_identifier="s", user="u") == b'"s"'
    assert of(Affinity.USER, user="u", messages=[asks("x")]) == b'"u"'


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Affinity.NONE, {"user": "u", "messages": [asks("x")]}),
        (Affinity.USER, {"messages": [asks("x")]}),
        (Affinity.USER, {"user": None}),
        (Affinity.USER, {"user": 7}),
        (Affinity.USER, {"user": ""}),
        (Affinity.PREFIX, {"user": "u"}),
        (Affinity.PREFIX, {"messages": None}),
    ],
)
def test_where_nothing_is_said_any_replica_will_do(kind: Affinity, fields: dict[str, Any]) -> None:
    assert of(kind, **fields) is None


@pytest.mark.parametrize("messages", [[], [1, 2], [{"content": "x"}], [[[]]], [SYSTEM]])
def test_messages_of_no_known_shape_still_have_a_prefix(messages: list[Any]) -> None:
    assert of(Affinity.PREFIX, messages=messages) is not None
