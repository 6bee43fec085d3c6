"""A client says how long it waits; nobody works on for longer, and the engine is told."""

import pytest

from serving.scripts import Hang, Say
from tests.journeys.rig import HELLO, UNSURE, Rig, rig

pytestmark = pytest.mark.anyio


async def ask(on: Rig, timeout_s: str, *, stream: bool = False) -> tuple[int, str]:
    """The status and the code of an error."""
    answer = await on.http.post(
        "/v1/chat/completions",
        json={"model": "support", "messages": HELLO, "stream": stream},
        headers={"x-tutelage-timeout-s": timeout_s},
    )
    error = answer.json().get("error") or {} if "json" in answer.headers["content-type"] else {}
    return answer.status_code, str(error.get("code"))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_hangs_costs_the_client_no_more_than_it_would_wait(
    *, stream: bool
) -> None:
    async with rig() as on:
        on.student.script(Hang())

        assert await ask(on, "0.2", stream=stream) == (504, "upstream_timed_out")

        assert on.teacher.requests == [], "there was no time left to ask"
        (asked,) = on.student.requests
        assert 0 < float(asked.headers["x-tutelage-timeout-s"]) <= 0.2
        await on.student.left()


async def test_the_teacher_has_what_the_student_left_of_the_time() -> None:
    async with rig() as on:
        on.student.script(Say("41", logprob=UNSURE))

        assert await ask(on, "30") == (200, "None")

        (students,), (teachers,) = on.student.requests, on.teacher.requests
        left = [float(each.headers["x-tutelage-timeout-s"]) for each in (students, teachers)]
        assert left[1] <= left[0] <= 30.0


async def test_the_sdks_own_timeout_needs_nothing_said() -> None:
    async with rig() as on:
        await on.openai.with_options(timeout=20.0).chat.completions.create(
            model="support", messages=HELLO
        )
        await on.openai.chat.completions.create(model="support", messages=HELLO)

        short, usual = (each.headers for each in on.student.requests)
        assert float(short["x-tutelage-timeout-s"]) <= 20.0
        assert float(usual["x-tutelage-timeout-s"]) <= 600.0
