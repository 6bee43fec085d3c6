"""A client cannot tell that llama.cpp answered: its ways are evened out, or lead to the teacher."""

import json
from typing import Any

import pytest

from serving.scripts import Say, ToolCall
from tests.journeys.rig import HELLO, SURE, UNSURE, rig

pytestmark = pytest.mark.anyio

LLAMACPP: dict[str, Any] = {"small": {"flavour": "llamacpp"}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
CALL = ToolCall("get_weather", '{"city": "Paris"}')


async def test_chat_reads_as_openais() -> None:
    async with rig(**LLAMACPP) as on:
        raw = await on.openai.chat.completions.with_raw_response.create(
            model="support", messages=HELLO
        )

        body = json.loads(raw.content)
        assert raw.headers["x-tutelage-served-by"] == "student"
        assert "timings" not in body
        assert raw.parse().choices[0].message.content == "All is well."


async def test_a_chat_stream_opens_with_the_role_and_ends_with_its_finish() -> None:
    async with rig(**LLAMACPP) as on:
        _, events = await on.events(stream_options={"include_usage": True})

        chunks = [json.loads(event) for event in events[:-1]]
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert chunks[0]["choices"][0]["delta"]["content"] == ""
        assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "stop"
        assert chunks[-1]["usage"]["completion_tokens"] == 5
        assert not [chunk for chunk in chunks if "timings" in chunk]


@pytest.mark.parametrize(("logprob", "served_by"), [(SURE, "student"), (UNSURE, "teacher")])
@pytest.mark.parametrize("stream", [False, True])
async def test_completions_are_gated_by_logprobs_of_another_shape(
    logprob: float, served_by: str, *, stream: bool
) -> None:
    async with rig(**LLAMACPP) as on:
        on.student.script(Say("a", "b", logprob=logprob))

        body = {"model": "support", "prompt": "Once", "stream": stream}
        answer = await on.http.post("/v1/completions", json=body)

        assert answer.headers["x-tutelage-served-by"] == served_by
        assert answer.headers["x-tutelage-reason"] in {"confident", "low_confidence"}


async def test_nothing_between_two_prompts_is_passed_on() -> None:
    async with rig(**LLAMACPP) as on:
        body = {"model": "support", "prompt": ["Once", "Twice"], "stream": True}
        answer = await on.http.post("/v1/completions", json=body)

        assert answer.headers["x-tutelage-served-by"] == "student"
        assert "data: null" not in answer.text
        assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_without_logprobs_is_the_teachers(*, stream: bool) -> None:
    async with rig(**LLAMACPP) as on:
        on.teacher.script(Say("42"))

        body = {"model": "support", "input": "hello", "stream": stream}
        answer = await on.http.post("/v1/responses", json=body)

        assert answer.status_code == 200
        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert "42" in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_answered_by_somebody(*, stream: bool) -> None:
    async with rig(**LLAMACPP) as on:
        for engine in (on.student, on.teacher):
            engine.script(Say(tool_calls=(CALL,)))

        body = {"model": "support", "messages": HELLO, "tools": TOOLS, "stream": stream}
        answer = await on.http.post("/v1/chat/completions", json=body)

        assert answer.status_code == 200
        assert "get_weather" in answer.text


async def test_an_error_has_a_string_for_a_code() -> None:
    async with rig(small={"flavour": "llamacpp", "context_tokens": 8}) as on:
        answer = await on.ask("support:student", messages=[{"role": "user", "content": "w " * 50}])

        error = answer.json()["error"]
        assert answer.status_code == 400
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == "context_length_exceeded"
