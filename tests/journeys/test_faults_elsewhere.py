"""The other endpoints fail as chat does: a fallback or an error at first, loudly after that."""

import json
from typing import Any

import pytest

from serving.scripts import (
    Behaviour,
    Cut,
    ErrorEvent,
    Reset,
    Say,
    Status,
    Truncated,
    WrongType,
    html_page,
    malformed_json,
    rate_limited,
    unfinished,
)
from tests.journeys.rig import Rig, rig

pytestmark = pytest.mark.anyio

ASKING: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": "Once upon a time"},
    "/v1/responses": {"input": "hello"},
}
ONCE: dict[str, Any] = {"retries": 0}
SOON: dict[str, Any] = {"gate": {"window_tokens": 1}}

AT_ONCE: dict[str, Behaviour] = {
    "429": rate_limited(),
    "500": Status(500),
    "reset": Reset(),
    "a page": html_page(),
    "wrong content type": WrongType(),
}
WHOLE: dict[str, Behaviour] = {"truncated": Truncated(), "malformed JSON": malformed_json()}
MID_STREAM: dict[str, Behaviour] = {
    "reset": Reset(after=3),
    "cut": Cut(after=3),
    "cut with the connection": Cut(after=3, clean=False),
    "an error": ErrorEvent(after=3),
    "failed": ErrorEvent(after=3, failed=True),
    "malformed JSON": malformed_json(after=3),
    "no end of its own": unfinished("a", "b", "c", "d"),
}


async def asked(on: Rig, path: str, model: str = "support", *, stream: bool = False) -> Any:
    return await on.http.post(path, json={"model": model, "stream": stream, **ASKING[path]})


def data(sse: str) -> list[str]:
    return [line.removeprefix("data: ") for line in sse.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize("path", list(ASKING))
@pytest.mark.parametrize("name", [*AT_ONCE, *WHOLE])
async def test_a_whole_answer_comes_from_the_teacher(path: str, name: str) -> None:
    async with rig(student=ONCE) as on:
        on.student.script((AT_ONCE | WHOLE)[name])
        on.teacher.script(Say("four", "ty-two"))

        answer = await asked(on, path)

        assert answer.status_code == 200
        assert "forty-two" not in answer.text
        assert "fourty-two" in answer.text
        assert answer.headers["x-tutelage-reason"] == "student_error"
        assert (await on.traces.said_by_student()).error


@pytest.mark.parametrize("path", list(ASKING))
@pytest.mark.parametrize("name", [*AT_ONCE, *MID_STREAM])
async def test_a_stream_that_breaks_within_the_window_comes_from_the_teacher(
    path: str, name: str
) -> None:
    async with rig(student=ONCE) as on:
        on.student.script((AT_ONCE | MID_STREAM)[name])
        on.teacher.script(Say("four", "ty-two"))

        answer = await asked(on, path, stream=True)

        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert "four" in answer.text
        assert "All" not in answer.text
        last = data(answer.text)[-1]
        assert last == "[DONE]" or json.loads(last)["type"] == "response.completed"
        assert (await on.traces.said_by_student()).error


@pytest.mark.parametrize("path", list(ASKING))
@pytest.mark.parametrize("name", list(MID_STREAM))
async def test_a_stream_that_breaks_after_the_commit_ends_loudly(path: str, name: str) -> None:
    async with rig(route=SOON, student=ONCE) as on:
        on.student.script(MID_STREAM[name])

        answer = await asked(on, path, stream=True)

        events = data(answer.text)
        assert answer.headers["x-tutelage-served-by"] == "student"
        assert "[DONE]" not in events
        assert "response.completed" not in answer.text
        last = json.loads(events[-1])
        if path == "/v1/responses":
            assert last["type"] in {"error", "response.failed"}
            assert answer.text.rstrip().split("\n\n")[-1].startswith(f"event: {last['type']}\n")
        else:
            assert set(last["error"]) == {"message", "type", "param", "code"}
        exchange = await on.traces.exchange()
        assert exchange.outcome == "cut"
        assert exchange.student is not None
        assert not exchange.student.complete


@pytest.mark.parametrize("path", list(ASKING))
@pytest.mark.parametrize("name", list(AT_ONCE))
@pytest.mark.parametrize("stream", [False, True])
async def test_one_engine_and_no_other_is_an_error(path: str, name: str, *, stream: bool) -> None:
    async with rig(teacher=ONCE) as on:
        on.teacher.script(AT_ONCE[name])

        answer = await asked(on, path, "support:teacher", stream=stream)

        assert answer.status_code == (429 if name == "429" else 502)
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert (await on.traces.exchange()).outcome == "failed"
        assert on.student.requests == []
