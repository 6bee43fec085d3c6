"""A recorded text completion of vLLM 0.32, turned into a script, comes back as it was recorded."""

import json
from typing import Any

import pytest

from serving.dialect import Refused
from serving.say import Say, Tok
from tests.serving.speakers import COMPLETIONS, VLLM, anonymous, events

ASK: dict[str, Any] = {"prompt": "The capital of France is"}
USAGE = {"stream_options": {"include_usage": True}}


def whole(*says: Say, **wishes: object) -> Any:
    return VLLM.whole(COMPLETIONS, ASK | wishes, *says)


def streamed(*says: Say, **wishes: object) -> list[Any]:
    return events(VLLM.stream(COMPLETIONS, ASK | wishes, *says))


def spoken(logprobs: list[Any]) -> list[Tok]:
    """The tokens of logprobs objects in the shape of completions."""
    return [
        Tok(text, value, tuple(top.items())[1:])
        for each in logprobs
        for text, value, top in zip(
            each["tokens"], each["token_logprobs"], each["top_logprobs"], strict=True
        )
    ]


# As recorded


@pytest.mark.parametrize(("ending", "top", "max_tokens"), [("length", 3, 6), ("stop", 1, 60)])
def test_a_stream_is_chunk_for_chunk_what_was_recorded(
    ending: str, top: int, max_tokens: int
) -> None:
    chunks = events(VLLM.recorded(f"completions_stream_{ending}.sse"))
    tokens = spoken([chunk["choices"][0]["logprobs"] for chunk in chunks[:-2]])
    say = Say(*tokens) if ending == "length" else Say(*tokens[:-1], end=tokens[-1])

    said = streamed(say, logprobs=top, max_tokens=max_tokens, **USAGE)

    assert len(chunks) > 4
    assert [anonymous(event) for event in said] == [anonymous(event) for event in chunks]


@pytest.mark.parametrize(("ending", "top"), [("length", 3), ("stop", 1)])
def test_a_whole_answer_is_what_was_recorded(ending: str, top: int) -> None:
    answer = json.loads(VLLM.recorded(f"completions_{ending}.json"))
    tokens = spoken([answer["choices"][0]["logprobs"]])
    say = Say(*tokens) if ending == "length" else Say(*tokens[:-1], end=tokens[-1])

    said = whole(say, logprobs=top, max_tokens=6 if ending == "length" else 60)

    assert anonymous(said) == anonymous(answer)


def test_several_prompts_are_streamed_in_turn_and_counted_together_as_recorded() -> None:
    recorded = events(VLLM.recorded("completions_stream_two_prompts.sse"))
    body = {"prompt": ["The capital of France is", "One two"], "n": 2, "max_tokens": 2}

    said = streamed(Say("a", "b"), **body, **USAGE)

    for chunks in (recorded, said):
        choices = [chunk["choices"][0] for chunk in chunks[:-2]]
        assert sorted(c["index"] for c in choices) == [0, 0, 1, 1, 2, 2, 3, 3]
        assert [c["finish_reason"] for c in choices[4:]] == ["length"] * 4
    assert said[-2]["usage"] == recorded[-2]["usage"]


def test_a_streamed_echo_comes_with_the_first_token_as_recorded() -> None:
    recorded = events(VLLM.recorded("completions_stream_echo.sse"))

    said = streamed(Say(" Paris", "."), echo=True, logprobs=1, max_tokens=2)

    for chunks in (recorded, said):
        texts = [chunk["choices"][0]["text"] for chunk in chunks[:-1]]
        assert texts == ["The capital of France is Paris", "."]
        offsets = [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in chunks[:-1]]
        assert offsets == [[0, 3, 11, 14, 21, 24], [30]]


def test_an_echo_has_the_recorded_shape_with_nothing_known_of_the_first_token() -> None:
    answer = json.loads(VLLM.recorded("completions_echo.json"))

    said = whole(Say(" Paris", "."), echo=True, logprobs=3, max_tokens=2)

    (choice,), (recorded,) = said["choices"], answer["choices"]
    assert list(said) == list(answer)
    assert list(choice) == list(recorded)
    assert list(choice["logprobs"]) == list(recorded["logprobs"])
    for each in (choice["logprobs"], recorded["logprobs"]):
        assert each["token_logprobs"][0] is each["top_logprobs"][0] is None
        assert all(value < 0 for value in each["token_logprobs"][1:])
    assert choice["prompt_logprobs"][0] is recorded["prompt_logprobs"][0] is None
    assert len(choice["prompt_logprobs"]) == said["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("wrong", "status", "recording"),
    [
        ({"model": "nope"}, 404, "error_unknown_model.json"),
        ({"logprobs": 21}, 400, "error_top_logprobs.json"),
        ({"prompt": None}, 400, "error_no_prompt.json"),
        ({"prompt": "word " * 3000}, 400, "error_prompt_too_long.json"),
        ({"max_tokens": 99_999}, 400, "error_max_tokens.json"),
        (USAGE, 400, "error_stream_options.json"),
    ],
)
def test_a_refusal_is_the_recorded_one(wrong: dict[str, Any], status: int, recording: str) -> None:
    with pytest.raises(Refused) as refused:
        VLLM.ask(COMPLETIONS, ASK | wrong)

    assert refused.value.status == status
    assert refused.value.body.decode() == VLLM.recorded(recording)


# What is asked decides what is said


def test_sixteen_tokens_come_unless_more_are_asked_for() -> None:
    say = Say(*(f" {n}" for n in range(30)))

    assert whole(say)["usage"]["completion_tokens"] == 16
    assert whole(say, max_tokens=None)["usage"]["completion_tokens"] == 16
    assert whole(say, max_tokens=40)["usage"]["completion_tokens"] == 31


def test_every_prompt_has_its_n_choices_numbered_through() -> None:
    said = whole(Say("a"), Say("b"), prompt=["one", "two two"], n=2)
    chunks = streamed(Say("a"), Say("b"), prompt=["one", "two two"], n=2)[:-1]

    assert [c["index"] for c in said["choices"]] == [0, 1, 2, 3]
    assert [c["text"] for c in said["choices"]] == ["a", "b", "a", "b"]
    assert said["usage"]["prompt_tokens"] == 3
    choices = [chunk["choices"][0] for chunk in chunks]
    assert {c["index"]: c["text"] for c in choices if c["text"]} == dict(enumerate("abab"))
    assert [c["index"] for c in choices if c["finish_reason"]] == [0, 1, 2, 3]


def test_text_offsets_run_on_through_a_stream() -> None:
    chunks = streamed(Say(" Paris", "."), echo=True, logprobs=0, max_tokens=5)[:-1]

    tokens = [text for chunk in chunks for text in chunk["choices"][0]["logprobs"]["tokens"]]
    offsets = [n for chunk in chunks for n in chunk["choices"][0]["logprobs"]["text_offset"]]
    assert "".join(tokens) == "The capital of France is Paris.<|im_end|>"
    assert offsets == [sum(map(len, tokens[:count])) for count in range(len(tokens))]


def test_an_echo_of_nothing_more_scores_the_prompt() -> None:
    (choice,) = whole(Say("x"), echo=True, logprobs=1, max_tokens=0)["choices"]

    assert choice["text"] == ASK["prompt"]
    assert len(choice["logprobs"]["tokens"]) == 5
    assert choice["finish_reason"] == "length"


def test_prompts_of_token_ids_are_taken() -> None:
    assert whole(Say("x"), prompt=[1, 2, 3])["usage"]["prompt_tokens"] == 3
    assert len(whole(Say("x"), prompt=[[1], [2, 3]])["choices"]) == 2


def test_the_fingerprint_comes_last_whatever_was_asked_for() -> None:
    *_, last, _ = streamed(Say("x"))
    *_, finish, usage, _ = streamed(Say("x"), **USAGE)

    assert "system_fingerprint" in last
    assert "system_fingerprint" not in finish
    assert usage["choices"] == []
    assert "system_fingerprint" in usage
