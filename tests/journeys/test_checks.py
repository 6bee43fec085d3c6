"""What a sure student says must also be usable: the route's checks overrule the gate."""

from typing import Any

import pytest

from serving.scripts import Choices, Say, ToolCall
from tests.journeys.rig import rig

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
]
IN_JSON: dict[str, Any] = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
}
ALL = ["json_schema", "tool_arguments", "truncated", "repetition", "refusal", "empty"]
GOOD = Say('{"city"', ':"Paris"}')


def calling(arguments: str, name: str = "weather") -> Say:
    return Say(tool_calls=(ToolCall(name, arguments),), finish_reason="tool_calls")


@pytest.mark.parametrize(
    ("said", "wishes", "reason"),
    [
        (Say('{"town"', ':"Paris"}'), IN_JSON, "check_failed:json_schema"),
        (Say("Paris"), {"response_format": {"type": "json_object"}}, "check_failed:json_schema"),
        (calling('{"town": "Paris"}'), {"tools": TOOLS}, "check_failed:tool_arguments"),
        (calling('{"city": "Par'), {"tools": TOOLS}, "check_failed:tool_arguments"),
        (calling("{}", name="rain"), {"tools": TOOLS}, "check_failed:tool_arguments"),
        (Say("I", finish_reason="length"), {}, "check_failed:truncated"),
        (Say(*(["round", " and "] * 60)), {}, "check_failed:repetition"),
        (Say("I'm sorry, but I can't help with that."), {}, "check_failed:refusal"),
        (Say(" ", "\n"), {}, "check_failed:empty"),
        (GOOD, IN_JSON, "confident"),
        (calling('{"city": "Paris"}'), {"tools": TOOLS}, "confident"),
        (Say("Paris", "."), {"tools": TOOLS}, "confident"),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_that_fails_a_check_is_the_teachers_to_give(
    said: Say, wishes: dict[str, Any], reason: str, *, streams: bool
) -> None:
    async with rig(route={"checks": ALL}) as on:
        on.student.script(said)

        if streams:
            response, events = await on.events(**wishes)
            assert events[-1] == "[DONE]"
        else:
            response = await on.ask(**wishes)

        assert response.headers["x-tutelage-reason"] == reason
        assert response.headers["x-tutelage-served-by"] == (
            "student" if reason == "confident" else "teacher"
        )
        assert (await on.traces.exchange()).reason == reason


async def test_without_checks_a_sure_answer_is_served_whatever_it_says() -> None:
    async with rig() as on:
        on.student.script(Say('{"town"', ':"Paris"}'))

        answer = await on.ask(**IN_JSON)

        assert answer.headers["x-tutelage-reason"] == "confident"


async def test_one_bad_choice_of_several_is_enough() -> None:
    async with rig(route={"checks": ["json_schema"]}) as on:
        on.student.script(Choices(GOOD, Say('{"city"', ": 3}")))

        answer = await on.ask(n=2, **IN_JSON)

        assert answer.headers["x-tutelage-reason"] == "check_failed:json_schema"


async def test_a_stream_whose_json_will_be_checked_is_held_to_its_end() -> None:
    route = {"checks": ["json_schema"], "gate": {"window_tokens": 1}}
    async with rig(route=route) as on:
        on.student.script(Say('{"city"', ':"Paris', '"', ", 3"))

        response, events = await on.events(**IN_JSON)

        assert response.headers["x-tutelage-served-by"] == "teacher"
        assert "Paris" not in "".join(events)


async def test_the_draft_that_failed_a_check_still_stands_in_for_a_dead_teacher() -> None:
    async with rig(route={"checks": ["empty"]}) as on:
        on.student.script(Say(" "))
        await on.teacher.close()

        answer = await on.ask()

        assert answer.headers["x-tutelage-reason"] == "teacher_unavailable"


async def test_a_schema_that_cannot_be_used_checks_nothing_and_is_counted() -> None:
    wishes: dict[str, Any] = {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "nonsense"}},
        }
    }
    async with rig(route={"checks": ["json_schema"]}) as on:
        on.student.script(Say("prose"))

        answer = await on.ask(**wishes)

        assert answer.headers["x-tutelage-reason"] == "confident"
        assert await on.metric("tutelage_unusable_schemas_total") == 1


async def test_a_response_of_the_newer_endpoint_is_checked_by_its_own_fields() -> None:
    text = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}
    async with rig(route={"checks": ["json_schema"]}) as on:
        on.student.script(Say("prose"), GOOD)
        body = {"model": "support", "input": "hello", "text": text}

        prose = await on.http.post("/v1/responses", json=body)
        good = await on.http.post("/v1/responses", json=body)

        assert prose.headers["x-tutelage-reason"] == "check_failed:json_schema"
        assert good.headers["x-tutelage-reason"] == "confident"
