"""What abilities allow and forbid on a route."""

from typing import Any

import pytest

from gateway.config import Route
from gateway.prospects import Ability, prospects

ALL = {(who, each): True for who in ("small", "large") for each in Ability}

READ = "deferrals and shadows that are read, takeovers"


def told(able: dict[Any, bool], **route: object) -> dict[str, str]:
    """By what: empty where it is possible, else why it is not."""
    made = Route.model_validate({"student": "small", "teacher": "large", **route})
    return {each.what: each.why for each in prospects("support", made, able)}


def test_where_everything_is_there_everything_is_possible() -> None:
    assert set(told(ALL).values()) == {""}
    assert len(told(ALL)) == 5


@pytest.mark.parametrize(
    ("who", "ability", "what"),
    [
        ("small", Ability.DEPTH, "a gate by margin"),
        ("small", Ability.TOKEN_IDS, READ),
        ("large", Ability.TOKEN_IDS, READ),
        ("large", Ability.PROMPT_LOGPROBS, READ),
        ("small", Ability.SAME_TOKENS, READ),
        ("small", Ability.TOOL_CALL, "tools"),
        ("large", Ability.SCHEMA, "answers by a schema"),
        ("large", Ability.HANG_UP, "freed by a hang-up"),
    ],
)
def test_what_is_missing_forbids_one_thing_and_is_named(
    who: str, ability: Ability, what: str
) -> None:
    found = told({**ALL, (who, ability): False})

    assert [each for each, why in found.items() if why] == [what]
    assert found[what].startswith(f"{who}: no {ability.value}; ")


@pytest.mark.parametrize(
    ("who", "ability"),
    [("large", Ability.DEPTH), ("small", Ability.PROMPT_LOGPROBS), ("large", Ability.PREFILL)],
)
def test_what_nobody_needs_forbids_nothing(who: str, ability: Ability) -> None:
    assert set(told({**ALL, (who, ability): False}).values()) == {""}


def test_a_route_of_one_model_is_asked_of_one_model() -> None:
    found = told({("large", each): True for each in Ability}, mode="teacher")

    assert found == {"tools": "", "answers by a schema": "", "freed by a hang-up": ""}


def test_a_route_that_speculates_wants_to_be_told_of_drafts() -> None:
    able = {("large", each): True for each in Ability if each is not Ability.DRAFTS}

    found = told(able, mode="speculative")

    assert found.pop("acceptance of drafts").startswith("large: no drafts told; ")
    assert set(found.values()) == {""}


def test_what_was_not_asked_is_not_there() -> None:
    assert all(told({}).values())
