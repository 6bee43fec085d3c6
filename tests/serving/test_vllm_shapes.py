"""A recording of vLLM 0.32, turned into a script, comes back as it was recorded."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from serving import vllm_shapes
from serving.scripts import SURE, Say, Tok
from serving.vllm_shapes import Refused

GOLDEN = Path(__file__).parent.parent / "golden" / "vllm-0.32"
ENDINGS = [("stop", 40), ("length", 12)]


def recorded(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8").strip()


def asking(**wishes: object) -> vllm_shapes.Asked:
    body = {"model": "smol", "messages": [{"role": "user", "content": "hi"}]} | wishes
    return vllm_shapes.parse(json.dumps(body).encode(), model="smol")


def whole(say: Say, **wishes: object) -> Any:
    return json.loads(vllm_shapes.whole(asking(**wishes), say, answer_id="chatcmpl-1"))


def streamed(say: Say, **wishes: object) -> str:
    stream = vllm_shapes.stream(asking(stream=True, **wishes), say, answer_id="chatcmpl-1")
    return b"".join([*stream.opening, *stream.tokens, *stream.closing]).decode()


def events(sse: str) -> list[Any]:
    data = [event.removeprefix("data: ") for event in sse.split("\n\n") if event]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def script_of(entries: list[Any], ending: str) -> Say:
    """Say these logprob entries again; the last one of a turn that ended is its end token."""
    tokens = [
        Tok(
            entry["token"],
            entry["logprob"],
            tuple((other["token"], other["logprob"]) for other in entry["top_logprobs"][1:]),
        )
        for entry in entries
    ]
    return Say(*tokens[:-1], end=tokens[-1]) if ending == "stop" else Say(*tokens)


def anonymous(answer: Any) -> str:
    """JSON in its order of keys, without what is made up anew for every answer."""
    blanks = {"id", "created", "model", "system_fingerprint", "prompt_tokens", "total_tokens"}
    if isinstance(answer, dict):
        answer = {key: "…" if key in blanks else value for key, value in answer.items()}
        if "usage" in answer:
            answer["usage"] = json.loads(anonymous(answer["usage"]))
    return json.dumps(answer)


# As recorded


@pytest.mark.parametrize(("ending", "max_tokens"), ENDINGS)
def test_a_stream_is_chunk_for_chunk_what_was_recorded(ending: str, max_tokens: int) -> None:
    chunks = events(recorded(f"chat_stream_{ending}.sse"))
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
    answer = json.loads(recorded(f"chat_logprobs_{ending}.json"))
    script = script_of(answer["choices"][0]["logprobs"]["content"], ending)

    said = whole(script, logprobs=True, top_logprobs=5, max_tokens=max_tokens)

    assert anonymous(said) == anonymous(answer)


def test_three_choices_have_the_recorded_shape() -> None:
    answer = json.loads(recorded("chat_n3.json"))

    said = whole(Say("4", "1"), n=3)

    assert list(said) == list(answer)
    assert [list(choice) for choice in said["choices"]] == [list(c) for c in answer["choices"]]
    assert [choice["index"] for choice in said["choices"]] == [0, 1, 2]
    assert said["usage"]["completion_tokens"] == 3 * 3


def test_the_model_list_has_the_recorded_shape() -> None:
    (recorded_card,) = json.loads(recorded("models.json"))["data"]

    (card,) = json.loads(vllm_shapes.models("smol"))["data"]

    assert card["id"] == recorded_card["id"]
    assert list(card) == list(recorded_card)
    assert list(card["permission"][0]) == list(recorded_card["permission"][0])


@pytest.mark.parametrize(
    ("wrong", "status", "recording"),
    [
        ({"model": "nope"}, 404, "error_unknown_model.json"),
        ({"logprobs": True, "top_logprobs": 21}, 400, "error_top_logprobs.json"),
    ],
)
def test_a_refusal_is_the_recorded_one(wrong: dict[str, Any], status: int, recording: str) -> None:
    with pytest.raises(Refused) as refused:
        asking(**wrong)

    assert refused.value.status == status
    assert refused.value.body.decode() == recorded(recording)


def test_tokenize_has_the_recorded_shape() -> None:
    said = json.loads(vllm_shapes.tokenize(b'{"prompt": "one two one"}'))

    assert list(said) == list(json.loads(recorded("tokenize.json")))
    assert said["count"] == 3
    assert said["tokens"][0] == said["tokens"][2] != said["tokens"][1]


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
    assert "".join(chunk["delta"]["content"] for chunk in chunks) == left
    assert chunks[-1]["stop_reason"] == choice["stop_reason"]


def test_max_tokens_ends_the_answer_with_length() -> None:
    said = whole(Say("one", " two", " three"), max_tokens=2)

    assert said["choices"][0]["message"]["content"] == "one two"
    assert said["choices"][0]["finish_reason"] == "length"
    assert said["usage"]["completion_tokens"] == 2
