"""Engines die, hang and answer nonsense; the client reads one voice or a proper error."""

import json
from typing import Any

import pytest

from serving.scripts import Cut, Garbage, Hang, Json, Reset, Say, Status
from tests.journeys.rig import UNSURE, rig

pytestmark = pytest.mark.anyio

IMPATIENT: dict[str, Any] = {
    "timeouts": {"connect_s": 1.0, "first_token_s": 0.2, "idle_s": 0.2, "total_s": 0.4}
}
HTML = Garbage(
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>"
)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Status(500), "student_error"),
        (Status(503), "student_error"),
        (Status(400), "student_error"),
        (Status(429), "student_error"),
        (Reset(), "student_error"),
        (HTML, "student_error"),
        (Json({"error": {"message": "out of memory"}}), "student_error"),
        (Json({"choices": "none"}), "student_error"),
        (
            Json({"choices": [{"index": 7, "message": {"content": "more than asked"}}]}),
            "student_error",
        ),
        (Hang(), "student_timeout"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_student_in_trouble_is_replaced_by_the_teacher(
    fault: Any, reason: str, *, stream: bool
) -> None:
    async with rig(student={"retries": 0, **IMPATIENT}) as on:
        on.student.script(fault)
        on.teacher.script(Say("4", "2"))

        if stream:
            response, events = await on.events()
            assert events[-1] == "[DONE]"
        else:
            response = await on.ask()
            assert response.json()["choices"][0]["message"]["content"] == "42"

        assert response.status_code == 200
        assert response.headers["x-tutelage-served-by"] == "teacher"
        assert response.headers["x-tutelage-reason"] == reason
        assert (await on.traces.said_by_student()).error is not None


async def test_a_student_that_stalls_within_the_window_is_replaced() -> None:
    async with rig(student=IMPATIENT) as on:
        on.student.script(Hang(after=2, of=Say("a", "b", "c")))

        response, events = await on.events()

        assert response.headers["x-tutelage-reason"] == "student_timeout"
        assert events[-1] == "[DONE]"


async def test_a_student_that_cannot_be_reached_costs_nothing_but_the_teachers_price() -> None:
    async with rig() as on:
        await on.student.close()

        assert (await on.ask()).headers["x-tutelage-reason"] == "student_error"


async def test_a_kept_connection_that_is_dropped_is_replaced_before_the_first_byte() -> None:
    async with rig() as on:
        on.student.script(Say("40"), Reset(), Say("41"))
        await on.ask()

        answer = await on.ask()

        assert answer.headers["x-tutelage-served-by"] == "student"
        assert len(on.student.requests) == 3


async def test_an_engine_that_turns_a_request_away_is_asked_again() -> None:
    async with rig(student={"retries": 1}) as on:
        on.student.script(Status(503), Say("41"))

        answer = await on.ask()

        assert answer.headers["x-tutelage-served-by"] == "student"
        assert len(on.student.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_dead_teacher_is_replaced_by_the_student_and_said_so(*, stream: bool) -> None:
    async with rig() as on:
        on.student.script(Say("4", "1", logprob=UNSURE))
        await on.teacher.close()

        if stream:
            response, events = await on.events()
            assert events[-1] == "[DONE]"
        else:
            response = await on.ask()
            assert response.json()["choices"][0]["message"]["content"] == "41"

        assert response.headers["x-tutelage-served-by"] == "student"
        assert response.headers["x-tutelage-reason"] == "teacher_unavailable"
        assert len(on.student.requests) == 1, "its finished draft is served"


async def test_a_long_stream_without_a_teacher_is_begun_again_with_the_student() -> None:
    async with rig(route={"gate": {"window_tokens": 2}}) as on:
        on.student.script(Say("a", "b", "c", "d", logprob=UNSURE))
        await on.teacher.close()

        _, events = await on.events()

        said = [json.loads(event)["choices"][0]["delta"].get("content") for event in events[:-1]]
        assert "".join(word or "" for word in said) == "abcd"


async def test_a_route_of_the_teacher_alone_falls_back_on_the_student() -> None:
    async with rig(route={"mode": "teacher"}) as on:
        await on.teacher.close()

        answer = await on.ask()

        assert answer.headers["x-tutelage-reason"] == "teacher_unavailable"


async def test_a_pinned_model_that_is_dead_is_an_error_and_not_another_model() -> None:
    async with rig() as on:
        await on.teacher.close()

        answer = await on.ask("support:teacher")

        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "upstream_failed"
        assert len(on.student.requests) == 0
        assert (await on.traces.exchange()).outcome == "failed"


async def test_when_both_are_dead_the_client_reads_a_proper_error() -> None:
    async with rig() as on:
        await on.student.close()
        await on.teacher.close()

        answer = await on.ask()

        assert answer.status_code == 502
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.headers["x-tutelage-trace-id"]


async def test_a_request_that_both_engines_refuse_is_the_clients_to_mend() -> None:
    refusal = {"error": {"message": "max_tokens is too large", "param": "max_tokens", "code": 400}}
    async with rig() as on:
        on.student.script(Status(400, refusal))
        on.teacher.script(Status(400, refusal))

        answer = await on.ask(max_tokens=10**6)

        error = answer.json()["error"]
        assert answer.status_code == 400
        assert error["param"] == "max_tokens"
        assert error["code"] == "invalid_request"


async def test_an_engines_refusal_of_our_key_is_not_the_clients_fault() -> None:
    async with rig() as on:
        on.teacher.script(Status(401))

        assert (await on.ask("support:teacher")).status_code == 502


@pytest.mark.parametrize("end", [Cut(after=3), Cut(after=3, clean=False), Reset(after=3)])
async def test_a_stream_that_breaks_after_the_commit_ends_loudly(end: Any) -> None:
    async with rig(route={"gate": {"window_tokens": 1}}) as on:
        on.student.script(end)

        _, events = await on.events()

        assert "[DONE]" not in events
        assert json.loads(events[-1])["error"]["code"] == "upstream_cut"
        assert (await on.traces.exchange()).outcome == "cut"
        assert (await on.traces.said_by_student()).complete is False


async def test_a_stream_that_stalls_after_the_commit_ends_loudly() -> None:
    async with rig(route={"gate": {"window_tokens": 1}}, student=IMPATIENT) as on:
        on.student.script(Hang(after=2))

        _, events = await on.events()

        assert json.loads(events[-1])["error"]["code"] == "upstream_timed_out"


async def test_a_body_over_the_limit_is_refused() -> None:
    async with rig(server={"max_body_bytes": 2048}) as on:
        answer = await on.ask(padding="x" * 4096)

        assert answer.status_code == 413


async def test_a_model_that_breaks_between_its_first_event_and_its_first_word_is_replaced() -> None:
    async with rig(route={"mode": "student"}) as on:
        on.student.script(Cut(after=0))
        on.teacher.script(Say("mended"))

        response, events = await on.events()

        assert response.headers["x-tutelage-served-by"] == "teacher"
        assert events[-1] == "[DONE]"
