"""What apps do with the official client, whoever answers: streams, helpers, parsing, errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI

from gateway.callers import KeyHolders
from gateway.clock import SystemClock
from gateway.keys import Keyring
from serving.scripts import Cut, Say, Status, Tok, ToolCall
from tests.journeys.rig import HELLO, SURE, UNSURE, Rig, rig

pytestmark = pytest.mark.anyio


class Weather(pydantic.BaseModel):
    """What an app wants to read."""

    city: str
    celsius: int


PARIS = Weather(city="Paris", celsius=21)
JSON = ('{"city', '": "', "Paris", '", "celsius', '": ', "21", "}")
FORECAST = openai.pydantic_function_tool(Weather, name="forecast")
FORECAST_ITEM: Any = {"type": "function", "strict": True, **FORECAST["function"]}

either_engine = pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
either_model = pytest.mark.parametrize("logprob", [SURE, UNSURE])


@asynccontextmanager
async def saying(
    *words: str, logprob: float = SURE, flavour: str = "vllm", calls: tuple[ToolCall, ...] = ()
) -> AsyncIterator[Rig]:
    """Student and teacher say the same; `logprob` decides which of them is heard."""
    engine = {"flavour": flavour}
    async with rig(small=engine, large=engine) as on:
        tokens = [Tok(word, logprob) for word in words]
        on.student.script(Say(*tokens, tool_calls=calls, logprob=logprob))
        on.teacher.script(Say(*words, tool_calls=calls))
        yield on


def call(logprob: float = SURE) -> ToolCall:
    return ToolCall("forecast", PARIS.model_dump_json(), logprob=logprob)


# Ways to ask


async def test_the_sync_client_asks_in_all_its_ways() -> None:
    def ask(url: str) -> None:
        with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            create = client.chat.completions.create
            whole = create(model="support", messages=HELLO)
            pieces = [
                chunk.choices[0].delta.content or ""
                for chunk in create(model="support", messages=HELLO, stream=True)
            ]
            said = client.responses.create(model="support", input="hello").output_text
            events = list(client.responses.create(model="support", input="hello", stream=True))
            text = client.completions.create(model="support", prompt="Once").choices[0].text

        assert whole.choices[0].message.content == "All is well."
        assert "".join(pieces) == said == text == "All is well."
        assert events[-1].type == "response.completed"

    async with saying("All", " is", " well", ".") as on:
        await asyncio.to_thread(ask, on.url)


@either_engine
@either_model
async def test_raw_and_streamed_responses_can_be_read_and_parsed(
    logprob: float, flavour: str
) -> None:
    async with saying("yes", logprob=logprob, flavour=flavour) as on:
        raw = await on.openai.chat.completions.with_raw_response.create(
            model="support", messages=HELLO
        )
        streaming = on.openai.chat.completions.with_streaming_response.create(
            model="support", messages=HELLO, stream=True
        )
        async with streaming as response:
            lines = [line async for line in response.iter_lines() if line]

        served_by = "student" if logprob == SURE else "teacher"
        assert raw.headers["x-tutelage-served-by"] == served_by
        assert response.headers["x-tutelage-served-by"] == served_by
        assert raw.parse().choices[0].message.content == "yes"
        assert lines[-1] == "data: [DONE]"


async def test_every_answer_has_a_request_id_that_is_found_in_the_traces() -> None:
    async with rig() as on:
        whole = await on.openai.chat.completions.create(model="support", messages=HELLO)
        response = await on.openai.responses.create(model="support", input="hello")
        vectors = await on.openai.embeddings.create(model="support", input="hello")

        asked = {whole._request_id, response._request_id, vectors._request_id}
        assert asked == {(await on.traces.exchange(number)).trace_id for number in (1, 2, 3)}


@pytest.mark.parametrize("dimensions", [3, 8])
async def test_vectors_are_the_same_in_either_encoding(dimensions: int) -> None:
    async with rig() as on:
        ask: dict[str, Any] = {"model": "support", "input": ["a", "b"], "dimensions": dimensions}
        packed = await on.openai.embeddings.create(**ask)
        plain = await on.openai.embeddings.create(**ask, encoding_format="float")

        for one, other in zip(packed.data, plain.data, strict=True):
            assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert len(packed.data[1].embedding) == dimensions


# Helpers


@either_engine
@either_model
async def test_chat_is_parsed_into_a_model(logprob: float, flavour: str) -> None:
    async with saying(*JSON, logprob=logprob, flavour=flavour) as on:
        answer = await on.openai.chat.completions.parse(
            model="support", messages=HELLO, response_format=Weather
        )

        assert answer.choices[0].message.parsed == PARIS
        sent = (on.student if logprob == SURE else on.teacher).requests[-1].body
        assert sent["response_format"]["json_schema"]["schema"]["required"] == ["city", "celsius"]


@either_engine
@either_model
async def test_a_chat_stream_is_put_together_and_parsed(logprob: float, flavour: str) -> None:
    async with saying(*JSON, logprob=logprob, flavour=flavour) as on:
        asking = on.openai.chat.completions.stream(
            model="support", messages=HELLO, response_format=Weather
        )
        async with asking as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_completion()

        assert kinds.count("content.done") == 1
        assert final.choices[0].message.parsed == PARIS
        assert final.choices[0].finish_reason == "stop"


@either_engine
@either_model
async def test_tool_calls_of_a_chat_stream_are_put_together(logprob: float, flavour: str) -> None:
    calls = (call(logprob), call(logprob))
    async with saying(logprob=logprob, flavour=flavour, calls=calls) as on:
        asking = on.openai.chat.completions.stream(
            model="support", messages=HELLO, tools=[FORECAST]
        )
        async with asking as stream:
            done = [
                event.parsed_arguments
                async for event in stream
                if event.type == "tool_calls.function.arguments.done"
            ]
            final = await stream.get_final_completion()

        assert done == [PARIS, PARIS]
        assert final.choices[0].finish_reason == "tool_calls"
        assert len({each.id for each in final.choices[0].message.tool_calls or ()}) == 2


@either_engine
@either_model
async def test_a_response_is_parsed_into_a_model(logprob: float, flavour: str) -> None:
    async with saying(*JSON, logprob=logprob, flavour=flavour) as on:
        answer = await on.openai.responses.parse(
            model="support", input="hello", text_format=Weather
        )

        assert answer.output_parsed == PARIS


@either_engine
@either_model
async def test_the_events_of_a_response_are_put_together(logprob: float, flavour: str) -> None:
    async with saying(*JSON, logprob=logprob, flavour=flavour) as on:
        asking = on.openai.responses.stream(model="support", input="hello", text_format=Weather)
        async with asking as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()

        numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
        assert numbers == sorted(set(numbers))
        assert events[-1].type == "response.completed"
        assert final.output_parsed == PARIS


@either_engine
@either_model
async def test_tool_calls_of_a_response_are_put_together(logprob: float, flavour: str) -> None:
    calls = (call(logprob), call(logprob))
    async with saying(logprob=logprob, flavour=flavour, calls=calls) as on:
        asking = on.openai.responses.stream(model="support", input="hello", tools=[FORECAST_ITEM])
        async with asking as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()

        assert kinds.count("response.function_call_arguments.done") == 2
        called = [item for item in final.output if item.type == "function_call"]
        assert [Weather.model_validate_json(item.arguments) for item in called] == [PARIS, PARIS]


# Errors


async def test_errors_are_of_the_class_that_apps_catch() -> None:
    async with rig(student={"retries": 0}) as on:
        create = on.openai.chat.completions.create

        with pytest.raises(openai.NotFoundError) as unknown:
            await create(model="nowhere", messages=HELLO)
        with pytest.raises(openai.BadRequestError) as bad:
            await create(model="support", messages=[])
        on.student.script(Status(500))
        with pytest.raises(openai.InternalServerError) as failed:
            await create(model="support:student", messages=HELLO)
        on.student.script(Status(429, headers={"retry-after": "7"}))
        with pytest.raises(openai.RateLimitError) as limited:
            await create(model="support:student", messages=HELLO)

        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
        assert (bad.value.type, bad.value.param) == ("invalid_request_error", "messages")
        assert (failed.value.status_code, failed.value.code) == (502, "upstream_failed")
        assert failed.value.request_id == failed.value.response.headers["x-tutelage-trace-id"]
        assert limited.value.response.headers["retry-after"] == "7"
        assert limited.value.type == "rate_limit_error"


async def test_a_key_that_does_not_work_is_an_authentication_error(tmp_path: Any) -> None:
    callers = KeyHolders(Keyring(tmp_path / "keys.db"), SystemClock())
    async with rig(callers=callers) as on:
        with pytest.raises(openai.AuthenticationError) as caught:
            await on.openai.models.list()
        with pytest.raises(openai.AuthenticationError):
            await on.openai.responses.create(model="support", input="hello")
        with pytest.raises(openai.AuthenticationError):
            await on.openai.responses.retrieve("resp_1~support~student")

        assert caught.value.code == "invalid_api_key"


async def _read_chat(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="support", messages=HELLO, stream=True)
    _ = [chunk async for chunk in stream]


async def _read_completion(client: AsyncOpenAI) -> None:
    stream = await client.completions.create(model="support", prompt="x", stream=True)
    _ = [chunk async for chunk in stream]


async def _read_response(client: AsyncOpenAI) -> None:
    stream = await client.responses.create(model="support", input="x", stream=True)
    _ = [event async for event in stream]


@pytest.mark.parametrize("read", [_read_chat, _read_completion, _read_response])
async def test_a_stream_that_breaks_raises_in_the_app(read: Any) -> None:
    async with rig(route={"gate": {"window_tokens": 1}}) as on:
        on.student.script(Cut(after=3, of=Say("All", " is", " well", ".")))

        with pytest.raises(openai.APIError, match="student"):
            await read(on.openai)
