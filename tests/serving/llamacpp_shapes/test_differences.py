"""What llama.cpp does differently, and the gateway has to even out."""

from typing import Any

import pytest

from serving.dialect import Refused
from serving.say import Say, ToolCall
from tests.serving.speakers import CHAT, COMPLETIONS, LLAMACPP, RESPONSES, events

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
TOOLS = [{"type": "function", "function": {"name": "get_weather"}}]
CALL = ToolCall("get_weather", '{"city": "Paris"}', id="abc")


def test_any_model_is_answered() -> None:
    assert LLAMACPP.whole(CHAT, HELLO | {"model": "nobody"}, Say("a"))["model"] == "smol"


def test_more_top_logprobs_than_twenty_are_given_and_twenty_by_default() -> None:
    for wish, count in ((21, 21), (None, 20)):
        body = HELLO | {"logprobs": True, "top_logprobs": wish}
        content = LLAMACPP.whole(CHAT, body, Say("a"))["choices"][0]["logprobs"]["content"]
        assert len(content[0]["top_logprobs"]) == count


def test_the_likeliest_comes_first_whichever_was_chosen() -> None:
    body = HELLO | {"logprobs": True, "top_logprobs": 2}

    content = LLAMACPP.whole(CHAT, body, Say("b", logprob=-3.0))["choices"][0]["logprobs"][
        "content"
    ]

    assert content[0]["token"] == "b"
    assert content[0]["top_logprobs"][0]["token"] != "b"


def test_more_tokens_than_the_context_may_be_asked_for() -> None:
    assert LLAMACPP.whole(CHAT, HELLO | {"max_tokens": 99_999}, Say("a"))["choices"]


def test_an_echo_is_not_given_and_no_tokens_are_one() -> None:
    said = LLAMACPP.whole(
        COMPLETIONS, {"prompt": "x", "echo": True, "max_tokens": 0}, Say("a", "b")
    )

    assert said["choices"][0]["text"] == "a"


def test_a_response_that_was_cut_says_that_it_is_completed() -> None:
    body = {"input": "hi", "max_output_tokens": 1}

    assert LLAMACPP.whole(RESPONSES, body, Say("a", "b"))["status"] == "completed"


def test_events_of_a_response_are_not_numbered() -> None:
    for event in events(LLAMACPP.stream(RESPONSES, {"input": "hi"}, Say("a"))):
        assert not {"sequence_number", "output_index", "content_index"} & set(event)


def test_a_prompt_in_vllms_words_has_no_tokens() -> None:
    assert LLAMACPP.probe("POST", "/tokenize", {"prompt": "one two"}) == {"tokens": []}


def test_a_streamed_call_opens_with_empty_arguments() -> None:
    chunks = events(LLAMACPP.stream(CHAT, HELLO | {"tools": TOOLS}, Say(tool_calls=(CALL,))))[:-1]
    deltas = [c["delta"] for chunk in chunks for c in chunk["choices"]]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", [])]

    function = {"name": "get_weather", "arguments": ""}
    assert pieces[0] == {"index": 0, "id": "abc", "type": "function", "function": function}
    assert "".join(p["function"]["arguments"] for p in pieces) == '{"city": "Paris"}'
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_whole_call_has_its_id_last() -> None:
    said = LLAMACPP.whole(CHAT, HELLO | {"tools": TOOLS}, Say(tool_calls=(CALL,)))

    message = said["choices"][0]["message"]
    assert message["content"] is None
    assert list(message["tool_calls"][0]) == ["type", "function", "id"]


def test_a_call_in_a_response_is_an_item() -> None:
    tools = [{"type": "function", "name": "get_weather"}]
    body = {"input": "hi", "tools": tools}

    whole = LLAMACPP.whole(RESPONSES, body, Say(tool_calls=(CALL,)))
    chunks = events(LLAMACPP.stream(RESPONSES, body, Say(tool_calls=(CALL,))))

    assert whole["output"][0]["call_id"] == "fc_abc"
    assert chunks[-1]["response"]["output"] == whole["output"]


def test_reasoning_has_the_name_that_deepseek_gave_it() -> None:
    say = Say("yes", reasoning=("so",))

    assert LLAMACPP.whole(CHAT, HELLO, say)["choices"][0]["message"]["reasoning_content"] == "so"
    chunks = events(LLAMACPP.stream(CHAT, HELLO, say))[:-1]
    assert {"reasoning_content": "so"} in [c["choices"][0]["delta"] for c in chunks]


def test_alternatives_without_logprobs_are_refused() -> None:
    with pytest.raises(Refused):
        LLAMACPP.ask(CHAT, HELLO | {"top_logprobs": 2})
