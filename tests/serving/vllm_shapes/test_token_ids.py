"""Token ids in answers and in prompts, and drafts that are read, as vLLM 0.32 was recorded."""

import json
from typing import Any

import pytest

from serving.dialect import Refused
from serving.say import Say, Tok
from serving.written import token_id
from tests.serving.speakers import CHAT, COMPLETIONS, VLLM, anonymous, events, script_of

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hello there"}]}
IDS = {"return_token_ids": True}
SAY = Say(Tok("4", -0.1, ((" 4", -2.5),)), Tok("2", -0.2))


def counted(value: Any) -> Any:
    """Made-up ids in place of real ones: how many there are must be the same."""
    if isinstance(value, dict):
        return {
            k: len(v) if k == "token_ids" and v else "…" if k == "prompt_token_ids" and v else v
            for k, v in ((k, counted(v)) for k, v in value.items())
        }
    return [counted(each) for each in value] if isinstance(value, list) else value


def prompt_after(*tokens: str) -> list[int]:
    """The ids of a conversation and of an answer that begins so."""
    said = VLLM.whole(CHAT, HELLO | IDS, SAY)
    return [*said["prompt_token_ids"], *map(token_id, tokens)]


def read(prompt: list[int], **wishes: object) -> Any:
    body = {"prompt": prompt, "max_tokens": 1, "prompt_logprobs": 2} | wishes
    return VLLM.whole(COMPLETIONS, body, SAY)["choices"][0]


def test_a_whole_answer_tells_its_ids_and_those_of_its_prompt_as_recorded() -> None:
    recorded = json.loads(VLLM.recorded("chat_token_ids_stop.json"))
    say = script_of(recorded["choices"][0]["logprobs"]["content"], "stop")

    said = VLLM.whole(CHAT, HELLO | IDS | {"logprobs": True, "top_logprobs": 1}, say)

    assert anonymous(counted(said)) == anonymous(counted(recorded))
    assert len(said["prompt_token_ids"]) == said["usage"]["prompt_tokens"]
    assert len(said["choices"][0]["token_ids"]) == said["usage"]["completion_tokens"]


def test_a_stream_tells_each_id_with_its_token_as_recorded() -> None:
    recorded = events(VLLM.recorded("chat_stream_token_ids_stop.sse"))
    entries = [c["choices"][0]["logprobs"] for c in recorded[1:-2]]
    say = script_of([entry for each in entries for entry in each["content"]], "stop")
    wishes = {"logprobs": True, "top_logprobs": 1, "stream_options": {"include_usage": True}}

    said = events(VLLM.stream(CHAT, HELLO | IDS | wishes, say))

    assert [anonymous(counted(e)) for e in said] == [anonymous(counted(e)) for e in recorded]


def test_a_text_completion_goes_on_from_ids_as_recorded() -> None:
    recorded = json.loads(VLLM.recorded("completions_token_ids_prompt_stop.json"))
    streamed = events(VLLM.recorded("completions_stream_token_ids_stop.sse"))
    body = {"prompt": prompt_after("The", " capital"), "max_tokens": 8} | IDS
    say = Say("The", " capital", " Paris", ".")
    usage = {"stream_options": {"include_usage": True}}

    said = VLLM.whole(COMPLETIONS, body, say)
    chunks = events(VLLM.stream(COMPLETIONS, body | usage, say))

    assert anonymous(counted(said)) == anonymous(counted(recorded))
    assert [anonymous(counted(e)) for e in chunks] == [anonymous(counted(e)) for e in streamed]


def test_a_prompt_is_read_in_the_recorded_shape() -> None:
    recorded = json.loads(VLLM.recorded("completions_prompt_logprobs.json"))

    said = VLLM.whole(
        COMPLETIONS, {"prompt": prompt_after("4"), "max_tokens": 1, "prompt_logprobs": 2}, SAY
    )

    for answer in (said, recorded):
        first, *rest = answer["choices"][0]["prompt_logprobs"]
        assert first is None
        assert len(rest) + 1 == answer["usage"]["prompt_tokens"]
        for each in rest:
            assert 2 <= len(each) <= 3
            entries = list(each.values())
            assert all(list(e) == ["logprob", "rank", "decoded_token"] for e in entries)
            ranks = [e["rank"] for e in entries]
            assert ranks[1:] == sorted(ranks[1:])
            assert set(ranks) >= {1, 2}
    assert list(said["choices"][0]) == list(recorded["choices"][0])


def test_the_token_that_stands_in_the_prompt_comes_first_and_the_models_own_is_rank_1() -> None:
    same, near, far = (
        list(read(prompt_after(each))["prompt_logprobs"][-1].values()) for each in ("4", " 4", "9")
    )

    assert (same[0]["rank"], same[0]["decoded_token"]) == (1, "4")
    assert (near[0]["rank"], near[0]["logprob"], near[1]["decoded_token"]) == (2, -2.5, "4")
    assert far[0]["rank"] > 2
    assert far[1]["decoded_token"] == "4"


def test_after_the_end_of_its_answer_a_model_says_no_more() -> None:
    choice = read(prompt_after("4", "2"), max_tokens=5)

    assert (choice["text"], choice["finish_reason"]) == ("", "stop")
    assert read(prompt_after("4"), max_tokens=5)["text"] == "2"
    assert read(prompt_after(), max_tokens=5)["text"] == "42"


@pytest.mark.parametrize(
    ("wrong", "recording"),
    [
        ({"prompt_logprobs": 2, "stream": True}, "error_prompt_logprobs_stream.json"),
        ({"prompt_logprobs": 21}, "error_prompt_logprobs.json"),
    ],
)
def test_a_refusal_is_the_recorded_one(wrong: dict[str, Any], recording: str) -> None:
    with pytest.raises(Refused) as refused:
        VLLM.ask(COMPLETIONS, {"prompt": [1, 2]} | wrong)

    assert refused.value.status == 400
    assert refused.value.body.decode() == VLLM.recorded(recording)
