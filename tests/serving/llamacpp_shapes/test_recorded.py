"""Recordings of llama.cpp's server, turned into scripts, come back as they were recorded."""

import json
from typing import Any

import pytest

from serving.dialect import Refused
from serving.say import Say
from tests.serving.speakers import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    LLAMACPP,
    RESPONSES,
    anonymous,
    events,
    names,
    script_of,
)

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
PROMPT: dict[str, Any] = {"prompt": "The capital of France is"}
USAGE = {"stream_options": {"include_usage": True}}
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def logprobs_of(chunks: list[Any]) -> list[Any]:
    known = [c.get("logprobs") for chunk in chunks for c in chunk["choices"]]
    return [entry for each in known if each for entry in each["content"]]


@pytest.mark.parametrize(("ending", "top"), [("length", 3), ("stop", 2)])
def test_a_chat_stream_is_chunk_for_chunk_what_was_recorded(ending: str, top: int) -> None:
    chunks = events(LLAMACPP.recorded(f"chat_stream_{ending}.sse"))
    entries = logprobs_of(chunks[:-1])
    wishes = {"logprobs": True, "top_logprobs": top, "max_tokens": len(entries), **USAGE}
    if ending == "stop":
        wishes["max_tokens"] = 60

    said = events(LLAMACPP.stream(CHAT, HELLO | wishes, script_of(entries, "length")))

    assert len(chunks) > 10
    assert len(said) == len(chunks)
    for ours, theirs in zip(said, chunks, strict=True):
        assert anonymous(ours) == anonymous(theirs)


@pytest.mark.parametrize(("ending", "top"), [("length", 5), ("stop", 2)])
def test_a_whole_chat_is_what_was_recorded(ending: str, top: int) -> None:
    answer = json.loads(LLAMACPP.recorded(f"chat_logprobs_{ending}.json"))
    entries = logprobs_of([answer])
    wishes = {
        "logprobs": True,
        "top_logprobs": top,
        "max_tokens": answer["usage"]["completion_tokens"],
    }
    if ending == "stop":
        wishes["max_tokens"] = 60

    said = LLAMACPP.whole(CHAT, HELLO | wishes, script_of(entries, ending))

    assert anonymous(said) == anonymous(answer)


def test_usage_of_three_choices_is_that_of_one() -> None:
    answer = json.loads(LLAMACPP.recorded("chat_n3.json"))

    said = LLAMACPP.whole(CHAT, HELLO | {"n": 3, "max_tokens": 8}, Say(*"abcdefghij"))

    assert list(said) == list(answer)
    assert said["usage"]["completion_tokens"] == answer["usage"]["completion_tokens"] == 8


@pytest.mark.parametrize(("ending", "top", "limit"), [("length", 3, 6), ("stop", 1, 60)])
def test_completions_are_what_was_recorded(ending: str, top: int, limit: int) -> None:
    answer = json.loads(LLAMACPP.recorded(f"completions_{ending}.json"))
    chunks = events(LLAMACPP.recorded(f"completions_stream_{ending}.sse"))
    body = PROMPT | {"logprobs": top, "max_tokens": limit}

    whole = LLAMACPP.whole(COMPLETIONS, body, script_of(logprobs_of([answer]), ending))
    said = events(
        LLAMACPP.stream(COMPLETIONS, body | USAGE, script_of(logprobs_of(chunks[:-1]), ending))
    )

    assert anonymous(whole) == anonymous(answer)
    assert len(said) == len(chunks)
    for ours, theirs in zip(said, chunks, strict=True):
        assert anonymous(ours) == anonymous(theirs)


def test_null_comes_between_the_prompts_of_a_stream() -> None:
    recorded = events(LLAMACPP.recorded("completions_stream_two_prompts.sse"))
    body = {"prompt": ["one", "two"], "n": 2, "max_tokens": 2}

    said = events(LLAMACPP.stream(COMPLETIONS, body, Say("a", "b")))

    for chunks in (recorded, said):
        assert chunks.count(None) == 1
        before = chunks[: chunks.index(None)]
        assert {chunk["choices"][0]["index"] for chunk in before} == {0, 1}
        finished = [c["choices"][0] for c in chunks[:-1] if c and "usage" in c]
        assert [each["finish_reason"] for each in finished] == ["length"] * 4


@pytest.mark.parametrize(("ending", "limit"), [("length", 4), ("stop", 60)])
def test_a_streamed_response_is_event_for_event_what_was_recorded(ending: str, limit: int) -> None:
    recorded = LLAMACPP.recorded(f"responses_stream_{ending}.sse")
    chunks = events(recorded)
    deltas = [e["delta"] for e in chunks if e["type"] == "response.output_text.delta"]
    body = {"input": "hi", "max_output_tokens": limit}

    said = LLAMACPP.stream(RESPONSES, body, Say(*deltas))

    assert names(said) == names(recorded)
    assert [anonymous(event) for event in events(said)] == [anonymous(event) for event in chunks]


def test_a_whole_response_is_what_was_recorded() -> None:
    answer = json.loads(LLAMACPP.recorded("responses_stop.json"))
    text = answer["output"][0]["content"][0]["text"]

    said = LLAMACPP.whole(RESPONSES, {"input": "hi"}, Say(text))

    said["usage"]["output_tokens"] = answer["usage"]["output_tokens"]
    assert anonymous(said) == anonymous(answer)


@pytest.mark.parametrize(
    ("path", "body", "recording"),
    [
        (CHAT, {"messages": [{"content": "word " * 3028}]}, "error_too_long.json"),
        (
            CHAT,
            HELLO | {"tools": TOOLS, "stream": True, "logprobs": True},
            "error_tools_stream_logprobs.json",
        ),
        (RESPONSES, {"input": "hi", "previous_response_id": "x"}, "error_previous_response.json"),
        (RESPONSES, {"input": "hi", "top_logprobs": 2}, "error_responses_top_logprobs.json"),
    ],
)
def test_a_refusal_is_the_recorded_one(path: str, body: dict[str, Any], recording: str) -> None:
    with pytest.raises(Refused) as refused:
        LLAMACPP.ask(path, body)

    recorded = LLAMACPP.recorded(recording).replace("768", "2048")
    assert refused.value.status == 400
    assert refused.value.body.decode() == recorded


def test_embeddings_have_the_recorded_shape() -> None:
    answer = json.loads(LLAMACPP.recorded("embeddings_base64.json"))

    said = LLAMACPP.whole(EMBEDDINGS, {"input": "a", "encoding_format": "base64"}, Say())

    assert list(said) == list(answer)
    assert list(said["data"][0]) == list(answer["data"][0])


def test_models_and_tokens_have_the_recorded_shape() -> None:
    models = json.loads(LLAMACPP.recorded("models.json"))
    said = LLAMACPP.probe("GET", "/v1/models")

    assert list(said) == list(models)
    assert list(said["data"][0]) == list(models["data"][0])
    assert list(said["models"][0]) == list(models["models"][0])
    tokens = LLAMACPP.probe("POST", "/tokenize", {"content": "one two"})
    assert len(tokens["tokens"]) == len(json.loads(LLAMACPP.recorded("tokenize.json"))["tokens"])
    text = LLAMACPP.probe("POST", "/detokenize", {"tokens": [504, 3575]})
    assert list(text) == list(json.loads(LLAMACPP.recorded("detokenize.json")))


def test_a_wrong_path_is_answered_as_recorded() -> None:
    with pytest.raises(Refused) as refused:
        LLAMACPP.probe("POST", "/v1/nowhere", {})

    assert refused.value.body.decode() == LLAMACPP.recorded("error_not_found.json")
