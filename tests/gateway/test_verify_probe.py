"""Whether a pair of models can be verified: each answer that says no, and the one that says yes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.verify_probe import Question, Unable, examine
from serving.say import Say
from tests.serving.speakers import VLLM

Reply = Callable[[Question], bytes | None]
SAY = Say("Repeat", " this", ".")


def honest(question: Question) -> bytes | None:
    """As the scripted vLLM answers."""
    path, body = f"/v1{question.path}", json.loads(question.body) | {"model": "smol"}
    if question.path == "/tokenize":
        return json.dumps(VLLM.probe("POST", question.path, body)).encode()
    return json.dumps(VLLM.whole(path, body, SAY)).encode()


def examined(reply: Reply) -> int | None:
    questions, answer = examine("small", "large"), None
    try:
        while True:
            answer = reply(questions.send(answer))
    except StopIteration as over:
        found: int | None = over.value
        return found


def changed(role: str, path: str, change: Callable[[Any], object]) -> Reply:
    """Honest but for one answer."""

    def reply(question: Question) -> bytes | None:
        answer = honest(question)
        if (question.role, question.path) != (role, path) or answer is None:
            return answer
        body = json.loads(answer)
        change(body)
        return json.dumps(body).encode()

    return reply


def test_an_honest_pair_is_fit_and_its_context_is_known() -> None:
    assert examined(honest) == 2048


def test_a_teacher_without_tokenize_is_fit_and_its_context_is_not_known() -> None:
    assert examined(lambda q: None if q.path == "/tokenize" else honest(q)) is None


def _wrongly(body: Any) -> None:
    last = body["choices"][0]["prompt_logprobs"][-1]
    first = next(iter(last.values()))
    first |= {"logprob": -9.0, "rank": 500}
    last["49999"] = {"logprob": -0.1, "rank": 1, "decoded_token": "?"}


CHAT = "/chat/completions"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (changed("student", CHAT, lambda b: b.pop("prompt_token_ids")), "student tells no token"),
        (changed("teacher", CHAT, lambda b: b["choices"].clear()), "teacher tells no token ids"),
        (changed("student", CHAT, lambda b: b["choices"][0]["token_ids"].clear()), "no token"),
        (changed("teacher", CHAT, lambda b: b["prompt_token_ids"].append(5)), "different token"),
        (changed("teacher", "/completions", lambda b: b.pop("choices")), "does not read prompts"),
        (changed("teacher", "/completions", _wrongly), "would not have written it"),
        (lambda _: b"<html>", "no completion"),
        (lambda _: None, "tells no token ids"),
    ],
)
def test_a_pair_that_is_not_fit_is_told_what_is_wrong(reply: Reply, why: str) -> None:
    with pytest.raises(Unable, match=why):
        examined(reply)
