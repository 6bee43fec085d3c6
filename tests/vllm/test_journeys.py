"""What an app does with the official client, through the gateway, on a real vLLM.

One vLLM is student and teacher: how sure it must be decides who of the two is heard.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pydantic
import pytest
from openai import AsyncOpenAI

from gateway import config
from tests.contracts.conftest import VLLM_URL, Vllm
from tests.journeys.rig import KeptTraces, running

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(VLLM_URL is None, reason="no vLLM is named: make test-vllm"),
]

ALWAYS, NEVER = 1e-9, 1.0
"""Thresholds: the student is heard always, or never."""
ASK: Any = [{"role": "user", "content": "Count from one to thirty, in words."}]
GREEDY: dict[str, Any] = {"model": "support", "temperature": 0, "max_tokens": 8}
PATIENT = {"first_token_s": 3600.0, "idle_s": 3600.0, "total_s": 3600.0}


class Weather(pydantic.BaseModel):
    """What an app wants to read."""

    sunny: bool


@dataclass(slots=True)
class Running:
    """A gateway before the vLLM, and clients for it."""

    engine: Vllm
    traces: KeptTraces
    openai: AsyncOpenAI
    http: httpx.AsyncClient


@asynccontextmanager
async def gateway(threshold: float = ALWAYS) -> AsyncIterator[Running]:
    engine, traces = Vllm(str(VLLM_URL)), KeptTraces()
    upstream = {"base_url": engine.base_url, "model": engine.model, "timeouts": PATIENT}
    route = {"student": "student", "teacher": "teacher", "gate": {"threshold": threshold}}
    settings = config.Settings.model_validate(
        {"upstreams": {"student": upstream, "teacher": upstream}, "routes": {"support": route}}
    )
    async with (
        running(settings, traces) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=None, trust_env=False) as http,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=None) as client,
    ):
        yield Running(engine, traces, client, http)


def text_of(chunks: list[Any]) -> str:
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)


@pytest.mark.parametrize(
    ("threshold", "served_by", "reason"),
    [(ALWAYS, "student", "confident"), (NEVER, "teacher", "low_confidence")],
)
async def test_a_stream_is_the_whole_answer_whoever_gives_it(
    threshold: float, served_by: str, reason: str
) -> None:
    async with gateway(threshold) as on:
        create = on.openai.chat.completions.with_raw_response.create
        raw = await create(messages=ASK, **GREEDY)
        stream = await on.openai.chat.completions.create(
            messages=ASK, stream=True, stream_options={"include_usage": True}, **GREEDY
        )
        chunks = [chunk async for chunk in stream]

    answer = raw.parse()
    assert raw.headers["x-tutelage-served-by"] == served_by
    assert raw.headers["x-tutelage-reason"] == reason
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].logprobs is None
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    assert not {"prompt_logprobs", "kv_transfer_params"} & set(raw.http_response.json())
    assert text_of(chunks) == answer.choices[0].message.content != ""
    assert chunks[-1].usage == answer.usage


async def test_logprobs_come_to_those_who_asked() -> None:
    async with gateway() as on:
        answer = await on.openai.chat.completions.create(
            messages=ASK, logprobs=True, top_logprobs=3, **GREEDY
        )

    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert [len(token.top_logprobs) for token in logprobs.content or []] == [3] * 8


@pytest.mark.parametrize("threshold", [ALWAYS, NEVER])
async def test_a_schema_is_read_into_a_model(threshold: float) -> None:
    async with gateway(threshold) as on:
        answer = await on.openai.chat.completions.parse(
            messages=ASK, response_format=Weather, **{**GREEDY, "max_tokens": 64}
        )

    assert isinstance(answer.choices[0].message.parsed, Weather)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_required_call_is_made(*, stream: bool) -> None:
    asked = {"tools": [openai.pydantic_function_tool(Weather, name="tell")]}
    wish: dict[str, Any] = {**GREEDY, **asked, "tool_choice": "required", "max_tokens": 64}
    async with gateway() as on:
        if stream:
            async with on.openai.chat.completions.stream(messages=ASK, **wish) as events:
                answer = await events.get_final_completion()
        else:
            answer = await on.openai.chat.completions.parse(messages=ASK, **wish)

    (call,) = (answer.choices[0].message.tool_calls or [])[:1]
    assert call.type == "function"
    assert call.function.name == "tell"
    Weather.model_validate_json(call.function.arguments)


async def test_a_response_goes_on_where_it_was_stored() -> None:
    async with gateway() as on:
        create = on.openai.responses.create
        ask: dict[str, Any] = {"model": "support", "temperature": 0, "max_output_tokens": 8}
        first = await create(input="Count to thirty, in words.", **ask)
        stream = await create(input="Count to thirty, in words.", stream=True, **ask)
        events = [event async for event in stream]
        after = await create(input="Go on.", previous_response_id=first.id, **ask)

    assert first.output_text == "".join(
        event.delta for event in events if event.type == "response.output_text.delta"
    )
    assert (first.status, events[-1].type) == ("incomplete", "response.incomplete")
    assert after.output_text


async def test_completions_have_as_many_choices_as_were_asked_for() -> None:
    async with gateway() as on:
        answer = await on.openai.completions.create(
            model="support", prompt="One, two,", n=2, max_tokens=4, temperature=1
        )

    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.text for choice in answer.choices)
