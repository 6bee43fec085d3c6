"""Tool calls, reasoning and refusals in chat, in the shape of vLLM 0.32 with its Hermes parser."""

import json
from typing import Any

import pytest

from serving.dialect import Refused
from serving.say import Say, ToolCall
from tests.serving.speakers import CHAT, VLLM, Speaker, events, facts

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Weather?"}], "tools": TOOLS}
PARIS = ToolCall("get_weather", '{"city": "Paris"}', id="call_1")
ROME = ToolCall("get_weather", '{"city": "Rome"}')
NAMED = {"type": "function", "function": {"name": "get_weather"}}


def choice(*says: Say, **wishes: object) -> Any:
    return VLLM.whole(CHAT, ASK | wishes, *says)["choices"][0]


def choices(*says: Say, **wishes: object) -> list[Any]:
    chunks = events(VLLM.stream(CHAT, ASK | wishes, *says))[:-1]
    return [chunk["choices"][0] for chunk in chunks if chunk["choices"]]


def pieces(chunks: list[Any]) -> list[Any]:
    return [piece for each in chunks for piece in each["delta"].get("tool_calls", [])]


def test_a_call_is_read_out_of_the_text() -> None:
    said = choice(Say(tool_calls=(PARIS,)))

    assert said["message"]["content"] is None
    (call,) = said["message"]["tool_calls"]
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert call == {"id": "call_1", "type": "function", "function": function}
    assert said["finish_reason"] == "tool_calls"


def test_a_streamed_call_opens_with_its_name_and_goes_on_in_pieces() -> None:
    chunks = choices(Say(tool_calls=(PARIS,)))

    first, *rest = pieces(chunks)
    assert list(first) == ["id", "type", "index", "function"]
    assert first["function"] == {"name": "get_weather"}
    assert all(list(piece) == ["index", "function"] for piece in rest)
    assert len(rest) > 3
    assert "".join(p["function"]["arguments"] for p in rest) == '{"city": "Paris"}'
    assert chunks[-1]["finish_reason"] == "tool_calls"
    assert chunks[-1]["delta"] == {}


def test_parallel_calls_are_told_apart_by_their_index_and_id() -> None:
    said = choice(Say("Both.", tool_calls=(PARIS, ROME)))
    chunks = pieces(choices(Say("Both.", tool_calls=(PARIS, ROME))))

    assert said["message"]["content"] == "Both."
    ids = [call["id"] for call in said["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [piece["id"] for piece in chunks if "id" in piece] == ids
    rome = [p["function"].get("arguments", "") for p in chunks if p["index"] == 1]
    assert json.loads("".join(rome)) == {"city": "Rome"}


def test_without_parallel_calls_only_the_first_is_passed_on() -> None:
    say = Say(tool_calls=(PARIS, ROME))

    assert len(choice(say, parallel_tool_calls=False)["message"]["tool_calls"]) == 1
    assert {piece["index"] for piece in pieces(choices(say, parallel_tool_calls=False))} == {0}


def test_logprobs_are_those_of_the_raw_text_tags_and_all() -> None:
    wishes = {"logprobs": True, "top_logprobs": 1}
    say = Say(tool_calls=(ToolCall("f", '{"a": 1}', logprob=-2.0),))

    whole = choice(say, **wishes)["logprobs"]["content"]
    streamed = [t for each in choices(say, **wishes)[1:] for t in each["logprobs"]["content"]]

    assert whole == streamed
    text = "".join(token["token"] for token in whole)
    assert text.startswith('<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>')
    assert {token["logprob"] for token in whole} == {-0.01, -2.0}


def test_without_logprobs_the_tags_have_no_chunks() -> None:
    deltas = [each["delta"] for each in choices(Say(tool_calls=(PARIS,)))]

    assert all(delta for delta in deltas[:-1])


def test_a_named_function_ends_with_stop_and_a_required_one_with_tool_calls() -> None:
    say = Say(tool_calls=(PARIS,))

    assert choice(say, tool_choice=NAMED)["finish_reason"] == "stop"
    assert choice(say, tool_choice="required")["finish_reason"] == "tool_calls"
    assert choices(say, tool_choice=NAMED)[-1]["finish_reason"] == "stop"
    assert choice(say, tool_choice="required")["message"]["content"] == ""


@pytest.mark.parametrize("wishes", [{"tools": None}, {"tool_choice": "none"}])
def test_a_call_that_was_not_wished_for_stays_text(wishes: dict[str, Any]) -> None:
    said = choice(Say(tool_calls=(PARIS,)), **wishes)

    assert "tool_calls" not in said["message"]
    assert said["message"]["content"].startswith("<tool_call>")
    assert said["finish_reason"] == "stop"


def test_a_call_that_was_cut_is_text_in_a_whole_answer_and_a_beginning_in_a_stream() -> None:
    say = Say(tool_calls=(PARIS,))

    said = choice(say, max_tokens=8)
    chunks = choices(say, max_tokens=8)

    assert "tool_calls" not in said["message"]
    assert said["message"]["content"].startswith("<tool_call>")
    assert said["finish_reason"] == chunks[-1]["finish_reason"] == "length"
    assert "".join(p["function"].get("arguments", "") for p in pieces(chunks)) == '{"city":'


def test_arguments_that_are_no_json_are_passed_on() -> None:
    said = choice(Say(tool_calls=(ToolCall("f", '{"city": Par'),)))

    assert said["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": Par'


@pytest.mark.parametrize(
    ("tool_choice", "recording"), [("auto", "auto"), ("required", "required"), (NAMED, "named")]
)
def test_an_engine_without_a_tool_parser_refuses_as_recorded(
    tool_choice: object, recording: str
) -> None:
    engine = Speaker(VLLM.dialect, VLLM.folder, facts(tools=False))

    with pytest.raises(Refused) as refused:
        engine.ask(CHAT, ASK | {"tool_choice": tool_choice})

    assert refused.value.body.decode() == VLLM.recorded(f"error_tools_{recording}.json")


def test_reasoning_comes_first_in_a_field_of_its_own() -> None:
    say = Say("yes", reasoning=("so", " it", " is"))

    said = VLLM.whole(CHAT, ASK, say)
    chunks = choices(say)

    message = said["choices"][0]["message"]
    assert (message["reasoning"], message["content"]) == ("so it is", "yes")
    assert said["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}
    deltas = [list(each["delta"].items()) for each in chunks[1:-1]]
    assert deltas[0] == [("reasoning", "so")]
    assert deltas[-1] == [("content", "yes")]
    assert len(deltas) == 4


def test_reasoning_can_be_left_out() -> None:
    say = Say("yes", reasoning=("so",))

    assert choice(say, include_reasoning=False)["message"]["reasoning"] is None
    assert [each["delta"] for each in choices(say, include_reasoning=False)][1:-1] == [
        {"content": "yes"}
    ]


def test_a_refusal_is_told_as_openai_tells_it() -> None:
    say = Say("I", " cannot", refusal=True)

    said = choice(say, logprobs=True, top_logprobs=1)

    assert (said["message"]["content"], said["message"]["refusal"]) == (None, "I cannot")
    assert said["logprobs"]["content"] is None
    assert [entry["token"] for entry in said["logprobs"]["refusal"]][:2] == ["I", " cannot"]
    assert [each["delta"] for each in choices(say)][1:3] == [
        {"refusal": "I"},
        {"refusal": " cannot"},
    ]


# As recorded


def test_a_required_call_is_read_out_of_its_tokens_as_recorded() -> None:
    recorded = [
        e["choices"][0] for e in events(VLLM.recorded("chat_tools_required_stream.sse"))[:-1]
    ]
    wishes = {"tool_choice": "required", "logprobs": True, "top_logprobs": 1}
    call = ToolCall("get_weather", ('"', "Paris", '"'))

    said = choices(Say(tool_calls=(call,)), **wishes)

    for chunks in (recorded, said):
        told = [each["delta"] for each in chunks if each["delta"]]
        first, *rest = told[1:]
        assert list(first["tool_calls"][0]) == ["id", "type", "index", "function"]
        assert [list(delta) for delta in told[1:]] == [["content", "tool_calls"]] * 4
        assert [p["tool_calls"][0] for p in rest] == [
            {"index": 0, "function": {"arguments": text}} for text in ('"', "Paris", '"')
        ]
        assert (chunks[-1]["delta"], chunks[-1]["finish_reason"]) == ({}, "tool_calls")
        assert list(chunks[5]) == ["index", "delta", "logprobs", "finish_reason", "token_ids"]
        text = "".join(t["token"] for c in chunks[1:] for t in c["logprobs"]["content"])
        assert text == (
            '<tool_call>\n{"name": "get_weather", "arguments": "Paris"}\n</tool_call><|im_end|>'
        )


def test_a_whole_call_has_the_recorded_shape() -> None:
    recorded = json.loads(VLLM.recorded("chat_tools_required.json"))["choices"][0]

    said = choice(Say(tool_calls=(ToolCall("get_weather", '"Paris"'),)), tool_choice="required")

    assert list(said["message"]) == list(recorded["message"])
    ours, theirs = said["message"]["tool_calls"][0], recorded["message"]["tool_calls"][0]
    assert (list(ours), ours["function"]) == (list(theirs), theirs["function"])
    assert said["finish_reason"] == recorded["finish_reason"] == "tool_calls"
    assert said["message"]["content"] == recorded["message"]["content"] == ""
