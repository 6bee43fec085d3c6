"""A recorded response of vLLM 0.32, turned into a script, comes back as it was recorded."""

import json
import re
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from serving.dialect import Refused
from serving.say import Say, ToolCall
from tests.serving.speakers import (
    RESPONSES,
    VLLM,
    Speaker,
    anonymous,
    events,
    facts,
    names,
    script_of,
)

ASK: dict[str, Any] = {"input": "What is the capital of France?", "temperature": 0}
LOGPROBS = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
TOOLS = {"tools": [{"type": "function", "name": "get_weather", "parameters": {}}]}
CALL = ToolCall("get_weather", '{"city": "Paris"}', id="call_1")


def whole(*says: Say, **wishes: object) -> Any:
    return VLLM.whole(RESPONSES, ASK | wishes, *says)


def streamed(*says: Say, **wishes: object) -> list[Any]:
    return events(VLLM.stream(RESPONSES, ASK | wishes, *says))


def of_kind(chunks: list[Any], kind: str) -> list[Any]:
    return [event for event in chunks if event["type"] == kind]


# As recorded


def test_a_stream_is_event_for_event_what_was_recorded() -> None:
    recorded = VLLM.recorded("responses_stream_stop.sse")
    chunks = events(recorded)
    deltas = of_kind(chunks, "response.output_text.delta")
    say = script_of([event["logprobs"][0] for event in deltas], "length")

    said = VLLM.stream(RESPONSES, ASK | LOGPROBS | {"max_output_tokens": 24}, say)

    assert len(deltas) > 5
    assert names(said) == names(recorded)
    assert [anonymous(event) for event in events(said)] == [anonymous(event) for event in chunks]
    assert "[DONE]" not in recorded


def test_a_whole_response_is_what_was_recorded() -> None:
    answer = json.loads(VLLM.recorded("responses_logprobs_stop.json"))
    entries = answer["output"][0]["content"][0]["logprobs"]

    said = whole(script_of(entries, "stop"), **LOGPROBS, max_output_tokens=24)

    assert anonymous(said) == anonymous(answer)


def test_a_response_that_was_cut_is_incomplete_as_recorded() -> None:
    answer = json.loads(VLLM.recorded("responses_length.json"))

    said = whole(Say(*"abcdefghijklmnopqrs"), temperature=None, max_output_tokens=16)

    text = {"text": said["output"][0]["content"][0]["text"]}
    answer["output"][0]["content"][0] |= text
    assert anonymous(said) == anonymous(answer)


def test_a_stream_that_was_cut_says_completed_of_an_incomplete_response() -> None:
    *_, last = streamed(Say("a", "b", "c"), max_output_tokens=2)

    assert last["type"] == "response.completed"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_call_is_event_for_event_what_was_recorded() -> None:
    recorded = VLLM.recorded("responses_tools_stream.sse")
    chunks = events(recorded)
    (done,) = of_kind(chunks, "response.function_call_arguments.done")
    body = {
        "temperature": 0,
        "max_output_tokens": 64,
        "tool_choice": "required",
        "tools": [_wished(tool) for tool in chunks[0]["response"]["tools"]],
    }

    call = ToolCall(done["name"], tuple(re.findall('"|Paris', done["arguments"])))
    said = VLLM.stream(RESPONSES, ASK | body, Say(tool_calls=(call,)))

    assert names(said) == names(recorded)
    for ours, theirs in zip(events(said), chunks, strict=True):
        for each in (ours, theirs):
            (each.get("response") or {}).pop("usage", None)
        assert anonymous(ours) == anonymous(theirs)


def _wished(tool: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tool.items() if value is not None}


# The OpenAI client reads it


@pytest.mark.parametrize(
    "say",
    [
        Say("All", " is", " well"),
        Say("It", " is", reasoning=("I", " think")),
        Say(tool_calls=(CALL,)),
        Say("Let me see.", tool_calls=(CALL, ToolCall("get_weather", '{"city": "Rome"}'))),
        Say(),
        Say("I", " cannot", refusal=True),
    ],
)
def test_every_event_is_one_that_the_openai_client_knows(say: Say) -> None:
    known: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

    chunks = streamed(say, **LOGPROBS, **TOOLS)

    for event in chunks:
        assert known.validate_python(event).type == event["type"]
    assert [event["sequence_number"] for event in chunks] == list(range(len(chunks)))
    assert chunks[-1]["response"]["output"] == [
        event["item"] for event in of_kind(chunks, "response.output_item.done")
    ]


# What is asked decides what is said


def test_a_call_is_an_item_with_its_arguments_in_pieces() -> None:
    chunks = streamed(Say(tool_calls=(CALL,)), **TOOLS)

    (added,) = of_kind(chunks, "response.output_item.added")
    assert (added["item"]["name"], added["item"]["call_id"]) == ("get_weather", "call_1")
    pieces = of_kind(chunks, "response.function_call_arguments.delta")
    assert "".join(event["delta"] for event in pieces) == '{"city": "Paris"}'
    assert len(pieces) > 3
    (done,) = of_kind(chunks, "response.function_call_arguments.done")
    assert done["arguments"] == '{"city": "Paris"}'


def test_calls_are_text_to_a_request_without_tools() -> None:
    said = whole(Say(tool_calls=(CALL,)))

    assert [item["type"] for item in said["output"]] == ["message"]
    assert said["output"][0]["content"][0]["text"].startswith("<tool_call>")


def test_reasoning_is_an_item_of_its_own_and_counted() -> None:
    say = Say("yes", reasoning=("so", " it", " is"))

    said = whole(say)

    assert [item["type"] for item in said["output"]] == ["reasoning", "message"]
    assert said["usage"]["output_tokens_details"]["reasoning_tokens"] == 3
    items = [event["item"]["type"] for event in of_kind(streamed(say), "response.output_item.done")]
    assert items == ["reasoning", "message"]


def test_logprobs_come_only_when_they_are_included() -> None:
    assert whole(Say("a"))["output"][0]["content"][0]["logprobs"] is None
    (delta,) = of_kind(streamed(Say("a")), "response.output_text.delta")
    assert delta["logprobs"] == []


def test_an_answer_without_a_finish_has_no_terminal_event() -> None:
    assert streamed(Say("a", finish_reason=None))[-1]["type"] == "response.output_item.done"


# Stored


def test_a_stored_response_can_be_read_again_and_gone_on_from() -> None:
    engine = Speaker(VLLM.dialect, VLLM.folder, facts())
    said = engine.whole(RESPONSES, ASK, Say("Paris"))

    assert engine.probe("GET", f"/v1/responses/{said['id']}") == said
    after = engine.whole(RESPONSES, ASK | {"previous_response_id": said["id"]}, Say("Rome"))
    assert after["previous_response_id"] == said["id"]


@pytest.mark.parametrize("stored", [True, False])
def test_a_response_that_nobody_stored_is_not_found(*, stored: bool) -> None:
    engine = Speaker(VLLM.dialect, VLLM.folder, facts(stored=stored))

    with pytest.raises(Refused) as refused:
        engine.ask(RESPONSES, ASK | {"previous_response_id": "resp_1"})

    assert refused.value.status == 404
    assert "resp_1" in refused.value.body.decode()


def test_what_is_not_to_be_stored_is_not() -> None:
    engine = Speaker(VLLM.dialect, VLLM.folder, facts())
    said = engine.whole(RESPONSES, ASK | {"store": False}, Say("Paris"))

    with pytest.raises(Refused):
        engine.probe("GET", f"/v1/responses/{said['id']}")
