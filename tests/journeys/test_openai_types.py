"""Every answer and every event is what the official client's own types demand, taken strictly."""

import json
from typing import Any, get_args

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

from serving.scripts import Say, ToolCall
from tests.journeys.rig import HELLO, rig

pytestmark = pytest.mark.anyio

CALL = ToolCall("get_weather", '{"city": "Paris"}')
SAYS = {
    "words": Say("Hi", " you"),
    "calls": Say(tool_calls=(CALL, CALL)),
    "words and a call": Say("Well", tool_calls=(CALL,)),
    "thoughts": Say("a", reasoning=("hm",)),
}
SHAPE = {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}
ASKS: dict[str, dict[str, Any]] = {
    "responses": {"input": "hello", "tools": [{"type": "function", **SHAPE}]},
    "chat/completions": {"messages": HELLO, "tools": [{"type": "function", "function": SHAPE}]},
}


def models(union: Any) -> list[Any]:
    """The classes in a union, however deep."""
    parts = get_args(union)
    return [each for part in parts for each in models(part)] if parts else [union]


EVENTS = {
    get_args(each.model_fields["type"].annotation)[0]: each
    for each in models(ResponseStreamEvent)
    if isinstance(each, type) and issubclass(each, BaseModel)
}


@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
@pytest.mark.parametrize("says", SAYS)
async def test_an_answer_is_of_the_official_type(flavour: str, says: str) -> None:
    async with rig(small={"flavour": flavour}) as on:
        on.student.script(SAYS[says])
        for path, whole in (("responses", Response), ("chat/completions", ChatCompletion)):
            body = {"model": "support:student", **ASKS[path]}
            answer = await on.http.post(f"/v1/{path}", json=body)

            whole.model_validate_json(answer.content)


@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
@pytest.mark.parametrize("says", SAYS)
async def test_an_event_is_of_the_official_type(flavour: str, says: str) -> None:
    async with rig(small={"flavour": flavour}) as on:
        on.student.script(SAYS[says])
        seen = 0
        for path, ask in ASKS.items():
            body = {"model": "support:student", "stream": True, **ask}
            answer = await on.http.post(f"/v1/{path}", json=body)
            for line in answer.text.splitlines():
                if line.startswith("data: {"):
                    event = json.loads(line.removeprefix("data: "))
                    kind = EVENTS[event["type"]] if path == "responses" else ChatCompletionChunk
                    kind.model_validate(event)
                    seen += 1

        assert seen > 8
