"""Engines that flap, turn calls away for a while, or dawdle: tried again where that is safe."""

import json
from typing import Any

import pytest

from serving.scripts import Drip, Reset, Say, Status, flapping, rate_limited
from tests.journeys.rig import HELLO, Rig, rig

pytestmark = pytest.mark.anyio

OFTEN: dict[str, Any] = {"retries": 2, "breaker": {"failures": 100}}
NEVER: dict[str, Any] = {"retries": 0, "breaker": {"failures": 100}}


async def test_an_engine_that_flaps_is_asked_again_and_nobody_notices() -> None:
    async with rig(student=OFTEN) as on:
        on.student.script(*flapping(3, good=Say("4", "1")))

        answers = [await on.ask() for _ in range(3)]

        assert {answer.headers["x-tutelage-served-by"] for answer in answers} == {"student"}
        assert len(on.student.requests) == 6
        assert [(await on.traces.exchange(n)).outcome for n in (1, 2, 3)] == ["served"] * 3


async def test_without_retries_every_other_answer_is_the_teachers() -> None:
    async with rig(student=NEVER) as on:
        on.student.script(*flapping(2))

        answers = [await on.ask() for _ in range(4)]

        served = [answer.headers["x-tutelage-served-by"] for answer in answers]
        assert served == ["teacher", "student"] * 2


@pytest.mark.parametrize("code", [429, 502, 503])
async def test_what_was_turned_away_is_asked_again(code: int) -> None:
    async with rig(student=OFTEN) as on:
        on.student.script(Status(code, headers={"retry-after": "0"}), Say("4", "1"))

        answer = await on.ask()

        assert answer.headers["x-tutelage-served-by"] == "student"
        assert len(on.student.requests) == 2


@pytest.mark.parametrize("fault", [Status(500), Status(504), Status(400), rate_limited("3600")])
async def test_what_was_read_or_will_not_be_read_soon_is_not_asked_again(fault: Status) -> None:
    async with rig(student=OFTEN) as on:
        on.student.script(fault)

        answer = await on.ask()

        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert len(on.student.requests) == 1


async def test_an_engine_that_keeps_failing_is_left_alone_until_it_mends() -> None:
    async with rig(
        student={"retries": 0, "breaker": {"failures": 3, "open_s": 3600, "max_open_s": 3600}}
    ) as on:
        on.student.script(Status(500))

        answers = [await on.ask() for _ in range(6)]

        assert {answer.headers["x-tutelage-served-by"] for answer in answers} == {"teacher"}
        assert len(on.student.requests) == 3


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    async with rig() as on:
        on.student.script(Say("4", "1"))
        await on.ask()
        await on.student.close()
        await on.student.start()

        answer = await on.ask()

        assert answer.headers["x-tutelage-served-by"] == "student"


async def test_a_reset_with_the_request_read_is_mended_by_the_other_model() -> None:
    async with rig(student=NEVER) as on:
        on.student.script(Reset())

        assert (await on.ask()).headers["x-tutelage-reason"] == "student_error"


# Slow, but not too slow


@pytest.mark.parametrize("stream", [False, True])
async def test_a_drip_of_bytes_arrives_whole(*, stream: bool) -> None:
    async with rig() as on:
        on.student.script(Drip(bytes_at_a_time=11, of=Say("4", "1")))
        on.student.resume(10_000)

        if stream:
            _, events = await on.events()
            assert events[-1] == "[DONE]"
            said = [json.loads(event)["choices"][0]["delta"] for event in events[:-1]]
            assert "".join(delta.get("content") or "" for delta in said) == "41"
        else:
            assert (await on.ask()).json()["choices"][0]["message"]["content"] == "41"

        assert (await on.traces.exchange()).served_by == "student"


async def test_each_token_of_a_slow_stream_reaches_the_client_when_it_comes() -> None:
    async with rig(route={"gate": {"window_tokens": 1}}) as on:
        on.student.script(Say("a", "b", "c", pause_each=True))
        body = {"model": "support", "messages": HELLO, "stream": True}
        on.student.resume()  # the first, which the gate rules on
        async with on.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.aiter_lines()
            for token in "abc":
                await _until_said(lines, token)
                on.student.resume()
            assert [line async for line in lines if line][-1] == "data: [DONE]"

        assert on.journal == ["student called", "student finished"]


async def _until_said(lines: Any, token: str) -> None:
    while f'"content":"{token}"' not in await anext(lines):
        pass


# A context that is too small


def too_long(words: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "word " * words}]}


@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_too_long_for_the_student_is_the_teachers(
    flavour: str, *, stream: bool
) -> None:
    small = {"context_tokens": 32, "flavour": flavour}
    async with rig(small=small) as on:
        on.teacher.script(Say("4", "2"))

        body = {"model": "support", "stream": stream, **too_long(100)}
        answer = await on.http.post("/v1/chat/completions", json=body)

        assert answer.status_code == 200
        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert (await on.traces.said_by_student()).error is not None


@pytest.mark.parametrize("flavour", ["vllm", "llamacpp"])
async def test_a_prompt_too_long_for_both_is_refused_in_openais_words(flavour: str) -> None:
    small = {"context_tokens": 32, "flavour": flavour}
    async with rig(small=small, large=small) as on:
        answer = await on.http.post(
            "/v1/chat/completions", json={"model": "support", **too_long(100)}
        )

        error = answer.json()["error"]
        assert answer.status_code == 400
        assert (error["type"], error["code"]) == (
            "invalid_request_error",
            "context_length_exceeded",
        )


async def test_more_tokens_than_the_student_has_room_for_are_asked_of_the_teacher() -> None:
    async with rig(small={"context_tokens": 32}) as on:
        answer = await on.ask(max_tokens=64)

        assert answer.headers["x-tutelage-served-by"] == "teacher"


async def test_a_refused_prompt_does_not_count_against_the_engines_health() -> None:
    async with rig(
        small={"context_tokens": 32}, student={"retries": 0, "breaker": {"failures": 2}}
    ) as on:
        await _ask_too_much(on, times=4)

        assert (await on.ask()).headers["x-tutelage-served-by"] == "student"


async def _ask_too_much(on: Rig, *, times: int) -> None:
    for _ in range(times):
        body = {"model": "support", **too_long(100)}
        assert (await on.http.post("/v1/chat/completions", json=body)).status_code == 200
