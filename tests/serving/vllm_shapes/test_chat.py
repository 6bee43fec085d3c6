"""A recorded chat completion of vLLM 0.32, turned into a script, comes back as it was recorded."""

import json
import math
from typing import Any

import pytest

from serving.dialect import Refused
from serving.say import SURE, Say, Tok
from tests.serving.speakers import CHAT, VLLM, Speaker, anonymous, events, facts, script_of

PLAIN = Speaker(VLLM.dialect, VLLM.folder, facts(tools=False))
"""Started without a tool parser, as the recordings were."""

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
ENDINGS = [("stop", 40), ("length", 12)]


def whole(*says: Say, **wishes: object) -> Any:
    return PLAIN.whole(CHAT, ASK | wishes, *says)


def streamed(*says: Say, **wishes: object) -> str:
    return PLAIN.stream(CHAT, ASK | wishes, *says)


# As recorded


@pytest.mark.parametrize(("ending", "max_tokens"), ENDINGS)
def test_a_stream_is_chunk_for_chunk_what_was_recorded(ending: str, max_tokens: int) -> None:
    chunks = events(VLLM.recorded(f"chat_stream_{ending}.sse"))
    spoken = [chunk["choices"][0]["logprobs"]["content"][0] for chunk in chunks[1:-2]]

    said = streamed(
        script_of(spoken, ending),
        logprobs=True,
        top_logprobs=3,
        max_tokens=max_tokens,
        stream_options={"include_usage": True},
    )

    assert len(chunks) > 10
    assert [anonymous(e) for e in events(said)] == [anonymous(e) for e in chunks]


@pytest.mark.parametrize(("ending", "max_tokens"), ENDINGS)
def test_a_whole_answer_is_what_was_recorded(ending: str, max_tokens: int) -> None:
    answer = json.loads(VLLM.recorded(f"chat_logprobs_{ending}.json"))
    script = script_of(answer["choices"][0]["logprobs"]["content"], ending)

    said = whole(script, logprobs=True, top_logprobs=5, max_tokens=max_tokens)

    assert anonymous(said) == anonymous(answer)


def test_three_choices_have_the_recorded_shape() -> None:
    answer = json.loads(VLLM.recorded("chat_n3.json"))

    said = whole(Say("4", "1"), n=3)

    assert list(said) == list(answer)
    assert [list(choice) for choice in said["choices"]] == [list(c) for c in answer["choices"]]
    assert [choice["index"] for choice in said["choices"]] == [0, 1, 2]
    assert said["usage"]["completion_tokens"] == 3 * 3


@pytest.mark.parametrize(
    ("wrong", "status", "recording"),
    [
        ({"model": "nope"}, 404, "error_unknown_model.json"),
        ({"logprobs": True, "top_logprobs": 21}, 400, "error_top_logprobs.json"),
        ({"max_tokens": 99_999}, 400, "error_max_tokens.json"),
        ({"messages": [{"content": "word " * 3000}]}, 400, "error_prompt_too_long.json"),
        ({"stream_options": {"include_usage": True}}, 400, "error_stream_options.json"),
    ],
)
def test_a_refusal_is_the_recorded_one(wrong: dict[str, Any], status: int, recording: str) -> None:
    with pytest.raises(Refused) as refused:
        VLLM.ask(CHAT, ASK | wrong)

    assert refused.value.status == status
    assert refused.value.body.decode() == VLLM.recorded(recording)


# What is asked decides what is said


def test_logprobs_come_only_when_asked_for() -> None:
    say = Say("4", "1")

    assert whole(say)["choices"][0]["logprobs"] is None
    asked = whole(say, logprobs=True, top_logprobs=2)["choices"][0]["logprobs"]["content"]
    assert [len(token["top_logprobs"]) for token in asked] == [2, 2, 2]


def test_an_engine_may_withhold_the_logprobs_it_was_asked_for() -> None:
    withheld = Say("4", logprobs=False)

    assert whole(withheld, logprobs=True)["choices"][0]["logprobs"] is None
    assert '"logprobs":{' not in streamed(withheld, logprobs=True)


def test_made_up_alternatives_never_exceed_the_mass_that_is_left() -> None:
    said = whole(Say(Tok("4", -4.0), Tok("1", SURE)), logprobs=True, top_logprobs=20)

    for token in said["choices"][0]["logprobs"]["content"]:
        assert sum(math.exp(other["logprob"]) for other in token["top_logprobs"]) <= 1.0
        assert len({other["token"] for other in token["top_logprobs"]}) == 20


def test_usage_is_streamed_only_when_asked_for() -> None:
    assert "usage" not in streamed(Say("4"))
    assert "usage" not in streamed(Say("4"), stream_options={"include_usage": False})
    assert "usage" in streamed(Say("4"), stream_options={"include_usage": True})


@pytest.mark.parametrize(
    ("stop", "left"), [([" t"], "one"), ("wo th", "one t"), (["three", "two"], "one ")]
)
def test_a_stop_string_ends_the_answer_before_itself(stop: str | list[str], left: str) -> None:
    say = Say("one", " two", " three")

    choice = whole(say, stop=stop)["choices"][0]

    assert (choice["message"]["content"], choice["finish_reason"]) == (left, "stop")
    assert choice["stop_reason"] in stop
    chunks = [event["choices"][0] for event in events(streamed(say, stop=stop))[:-1]]
    assert "".join(chunk["delta"].get("content") or "" for chunk in chunks) == left
    assert chunks[-1]["stop_reason"] == choice["stop_reason"]


def test_max_tokens_ends_the_answer_with_length() -> None:
    said = whole(Say("one", " two", " three"), max_tokens=2)

    assert said["choices"][0]["message"]["content"] == "one two"
    assert said["choices"][0]["finish_reason"] == "length"
    assert said["usage"]["completion_tokens"] == 2


def test_two_greedy_answers_are_refused_as_the_engine_refuses_them() -> None:
    with pytest.raises(Refused, match=r"n must be 1 when using greedy sampling, got 2\."):
        VLLM.ask(CHAT, ASK | {"n": 2, "temperature": 0})


def test_choices_may_say_different_things_and_end_at_different_times() -> None:
    said = whole(Say("a", "b", "c"), Say("d", finish_reason="length"), n=3)
    chunks = events(streamed(Say("a", "b", "c"), Say("d"), n=2))[:-1]

    assert [c["message"]["content"] for c in said["choices"]] == ["abc", "d", "abc"]
    assert [c["finish_reason"] for c in said["choices"]] == ["stop", "length", "stop"]
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [(c["index"], c["delta"]["content"]) for c in choices if c["delta"]["content"]] == [
        (0, "a"),
        (1, "d"),
        (0, "b"),
        (0, "c"),
    ]
    assert [c["index"] for c in choices if c["finish_reason"]] == [1, 0]


def test_content_in_parts_is_read() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": "What is this?"}, image]

    answer = VLLM.ask(CHAT, {"messages": [{"role": "user", "content": parts}]})

    assert answer.last_words.strip() == "What is this?"


def test_the_fingerprint_comes_last_whatever_was_asked_for() -> None:
    *_, finish, _ = events(streamed(Say("4")))
    *_, unmarked, usage, _ = events(streamed(Say("4"), stream_options={"include_usage": True}))

    assert "system_fingerprint" in finish
    assert "system_fingerprint" not in unmarked
    assert "system_fingerprint" in usage


def test_an_answer_may_end_without_a_reason() -> None:
    say = Say("4", finish_reason=None)

    assert whole(say)["choices"][0]["finish_reason"] is None
    *_, last, done = events(streamed(say))
    assert last["choices"][0]["finish_reason"] is None
    assert done == "[DONE]"


# With a tool parser


def test_text_lags_behind_the_tokens_where_there_are_stop_strings_as_recorded() -> None:
    recorded = [e["choices"][0] for e in events(VLLM.recorded("chat_stream_stop_string.sse"))[:-1]]
    tokens = [each["logprobs"]["content"][0] for each in recorded[1:]]
    wishes = {"stop": ["France"], "logprobs": True, "top_logprobs": 1}

    said = events(VLLM.stream(CHAT, ASK | wishes, script_of(tokens, "length")))

    assert [anonymous(e["choices"][0]) for e in said[:-1]] == [anonymous(c) for c in recorded]
    assert [c["delta"].get("content") for c in recorded] == ["", None, "The ca", "pit", "al of "]


@pytest.mark.parametrize("tools", [True, False])
def test_what_was_held_back_comes_with_the_end(*, tools: bool) -> None:
    engine = Speaker(VLLM.dialect, VLLM.folder, facts(tools=tools))

    chunks = events(engine.stream(CHAT, ASK | {"stop": "xyz"}, Say("one", " two")))[:-1]

    deltas = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert deltas == ["", "o", "ne t", "wo"]


def test_a_parser_ends_with_an_empty_delta() -> None:
    *_, last, _ = events(VLLM.stream(CHAT, ASK, Say("one")))

    assert last["choices"][0]["delta"] == {}
