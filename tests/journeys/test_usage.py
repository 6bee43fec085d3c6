"""Usage in a stream is told as OpenAI tells it: once, at the end, to those who asked."""

import json
from typing import Any

import pytest

from serving.scripts import Say
from tests.journeys.rig import HELLO, Rig, rig

pytestmark = pytest.mark.anyio

ASKED = {"stream_options": {"include_usage": True}}
TWO = (Say("a", "b"), Say("c", "d", "e"))
FLAVOURS = pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])


async def chunks(on: Rig, path: str, **body: Any) -> list[dict[str, Any]]:
    """The stream's, without the [DONE] that must end it."""
    body = {"model": "support", "stream": True, **body}
    answer = await on.http.post(f"/v1/{path}", json=body)
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert answer.headers["x-tutelage-served-by"] == "student"
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


@FLAVOURS
@pytest.mark.parametrize(
    ("path", "question"),
    [("chat/completions", {"messages": HELLO}), ("completions", {"prompt": "Once"})],
)
async def test_nobody_reads_usage_who_did_not_ask_for_it(
    flavour: str, path: str, question: dict[str, Any]
) -> None:
    async with rig(small={"flavour": flavour}) as on:
        said = await chunks(on, path, n=2, **question)

        assert all("usage" not in chunk and chunk["choices"] for chunk in said)
        kept = (await on.traces.said_by_student()).usage
        assert kept is not None
        assert kept.completion_tokens == 10


@FLAVOURS
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(
    ("path", "question"),
    [("chat/completions", {"messages": HELLO}), ("completions", {"prompt": "Once"})],
)
async def test_who_asked_reads_it_in_one_last_chunk_for_all_choices(
    flavour: str, path: str, question: dict[str, Any], n: int
) -> None:
    async with rig(small={"flavour": flavour}) as on:
        said = await chunks(on, path, n=n, **question, **ASKED)

        *told, last = said
        assert all(chunk["choices"] and chunk["usage"] is None for chunk in told)
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] == 5 * n
        assert last["id"] == told[0]["id"]
        assert last["object"] == told[0]["object"]
        kept = (await on.traces.said_by_student()).usage
        assert kept is not None
        assert last["usage"]["prompt_tokens"] == kept.prompt_tokens
        assert last["usage"]["total_tokens"] == kept.prompt_tokens + kept.completion_tokens


@FLAVOURS
async def test_each_prompt_is_counted_once_however_many_choices_it_has(flavour: str) -> None:
    async with rig(small={"flavour": flavour}) as on:
        prompt = ["Once upon", "Twice upon a"]
        *_, last = await chunks(on, "completions", prompt=prompt, n=2, **ASKED)

        assert last["usage"]["prompt_tokens"] == 5
        assert last["usage"]["completion_tokens"] == 20
