"""What an OpenAI client sends arrives untouched, and it reads what it asked for and no more."""

import json
from typing import Any

import msgspec
import pytest

from serving.scripts import Say, Tok
from tests.journeys.rig import HELLO, UNSURE, rig

pytestmark = pytest.mark.anyio

WISHES: dict[str, Any] = {
    "temperature": 0.25,
    "seed": 7,
    "stop": ["\n\n", "END"],
    "logit_bias": {"50256": -100},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "response_format": {"type": "json_object"},
    "user": "someone",
    "a_field_of_tomorrow": {"deep": [1, 2.50, {"x": None}]},
}


async def test_every_field_reaches_the_engine_as_it_was_sent() -> None:
    async with rig() as on:
        await on.ask("support:teacher", **WISHES)

        received = on.teacher.requests[0].body
        assert {key: received[key] for key in WISHES} == WISHES
        assert received["messages"] == HELLO
        assert received["model"] == "teacher"
        assert "logprobs" not in received


async def test_numbers_travel_byte_for_byte() -> None:
    body = b'{"model":"support:teacher","messages":[{"role":"user","content":"x"}],"top_p":0.90}'
    async with rig() as on:
        await on.http.post("/v1/chat/completions", content=body)

        assert json.dumps(on.teacher.requests[0].body["top_p"]) == "0.9"
        trace = await on.traces.exchange()
        assert trace.request is not msgspec.UNSET
        assert bytes(trace.request) == body


async def test_our_own_logprobs_are_stripped_from_a_whole_answer() -> None:
    async with rig() as on:
        answer = await on.ask()

        asked = on.student.requests[0].body
        assert (asked["logprobs"], asked["top_logprobs"]) == (True, 1)
        assert answer.json()["choices"][0]["logprobs"] is None


async def test_our_own_logprobs_and_usage_are_stripped_from_a_stream() -> None:
    async with rig() as on:
        _, events = await on.events()

        chunks = [json.loads(event) for event in events[:-1]]
        assert on.student.requests[0].body["stream_options"] == {"include_usage": True}
        assert all(choice["logprobs"] is None for chunk in chunks for choice in chunk["choices"])
        assert all(chunk["choices"] for chunk in chunks)


@pytest.mark.parametrize("logprob", [-0.01, UNSURE])
async def test_the_clients_own_wish_for_logprobs_is_honoured_whoever_answers(
    logprob: float,
) -> None:
    async with rig() as on:
        on.student.script(Say("yes", logprob=logprob))

        answer = await on.ask(logprobs=True, top_logprobs=3)

        content = answer.json()["choices"][0]["logprobs"]["content"]
        assert len(content[0]["top_logprobs"]) == 3


async def test_the_clients_own_wish_for_usage_is_honoured_in_a_stream() -> None:
    async with rig() as on:
        on.student.script(Say("a", "b"))

        _, events = await on.events(stream_options={"include_usage": True})

        last = json.loads(events[-2])
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] > 0


async def test_words_that_look_like_logprobs_are_left_alone() -> None:
    words = '{"logprobs": {"content": [{"token": "x", "logprob": -1.0}]}}'
    async with rig() as on:
        on.student.script(Say(Tok(words)))

        answer = await on.ask()

        assert answer.json()["choices"][0]["message"]["content"] == words


@pytest.mark.parametrize(
    ("body", "field", "status"),
    [
        (b"", None, 400),
        (b"not json", None, 400),
        (b"[1]", None, 400),
        (b'{"messages":[{"role":"user","content":"x"}]}', "model", 400),
        (b'{"model":3,"messages":[{}]}', "model", 400),
        (b'{"model":"support"}', "messages", 400),
        (b'{"model":"support","messages":[]}', "messages", 400),
        (b'{"model":"support","messages":[{}],"stream":"yes"}', "stream", 400),
        (b'{"model":"support","messages":[{}],"n":0}', "n", 400),
        (b'{"model":"nope","messages":[{}]}', "model", 404),
    ],
)
async def test_a_bad_request_is_told_which_field_to_mend(
    body: bytes, field: str | None, status: int
) -> None:
    async with rig() as on:
        answer = await on.http.post("/v1/chat/completions", content=body)

        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (status, field)
        assert set(error) == {"message", "type", "param", "code"}
        assert on.journal == []


async def test_the_official_client_lists_models_and_reads_one() -> None:
    async with rig() as on:
        listed = [model.id async for model in on.openai.models.list()]

        assert listed == ["support", "support:student", "support:teacher"]
        assert (await on.openai.models.retrieve("support")).owned_by == "tutelage"


async def test_the_keep_alive_connection_is_used_again() -> None:
    async with rig() as on:
        for _ in range(3):
            await on.ask()
            await on.events()

        assert on.student.connections == 1


async def test_the_official_client_finds_the_trace_as_its_request_id() -> None:
    async with rig() as on:
        answer = await on.openai.chat.completions.create(model="support", messages=HELLO)

        assert answer._request_id == (await on.traces.exchange()).trace_id


async def test_a_client_that_says_how_long_it_waits_is_told_when_that_is_over() -> None:
    async with rig() as on:
        on.student.script(Say("late", held=True))
        on.teacher.script(Say("late", held=True))

        body = {"model": "support", "messages": HELLO}
        answer = await on.http.post(
            "/v1/chat/completions", json=body, headers={"x-tutelage-timeout-s": "0.2"}
        )

        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timed_out")
        sent = on.student.requests[0].headers["x-tutelage-timeout-s"]
        assert float(sent) <= 0.2


async def test_a_deadline_that_is_none_is_refused() -> None:
    async with rig() as on:
        body = {"model": "support", "messages": HELLO}
        answer = await on.http.post(
            "/v1/chat/completions", json=body, headers={"x-tutelage-timeout-s": "soon"}
        )

        assert (answer.status_code, answer.json()["error"]["param"]) == (
            400,
            "x-tutelage-timeout-s",
        )
