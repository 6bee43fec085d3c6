"""What is wrong with the student before the client's first byte is mended by the teacher."""

import json
from typing import Any

import pytest

from serving.scripts import Say
from tests.journeys.faults import (
    AFTER_THE_ROLE,
    BEFORE_THE_FIRST_BYTE,
    FIRST_EVENT,
    IMPATIENT,
    WHOLE,
    Fault,
)
from tests.journeys.rig import Rig, rig

pytestmark = pytest.mark.anyio

ONCE: dict[str, Any] = {"retries": 0}


async def settled(on: Rig, fault: Fault) -> None:
    """The books agree: one exchange, served by the teacher, the student's failure told."""
    exchange = await on.traces.exchange()
    assert (exchange.outcome, exchange.served_by) == ("served", "teacher")
    reason = "student_timeout" if fault.times_out else "student_error"
    assert exchange.reason == reason
    assert exchange.student is not None
    assert exchange.student.error
    assert not exchange.student.complete
    assert exchange.teacher is not None
    assert exchange.teacher.complete
    assert exchange.teacher.text == "42"
    assert len(on.traces.exchanges) == 1
    served = await on.metric("tutelage_requests_total", served_by="teacher", status="200")
    assert served == await on.metric("tutelage_requests_total") == 1
    assert await on.metric("tutelage_fallbacks_total", reason=reason) == 1
    assert await on.metric("tutelage_in_flight") == 0


@pytest.mark.parametrize("name", [*BEFORE_THE_FIRST_BYTE, *WHOLE])
async def test_a_whole_answer_comes_from_the_teacher(name: str) -> None:
    fault = (BEFORE_THE_FIRST_BYTE | WHOLE)[name]
    async with rig(student=ONCE | IMPATIENT) as on:
        on.student.script(fault.script)
        on.teacher.script(Say("4", "2"))

        response = await on.ask()

        assert response.status_code == 200
        assert response.json()["choices"][0]["message"]["content"] == "42"
        assert response.headers["x-tutelage-served-by"] == "teacher"
        await settled(on, fault)


@pytest.mark.parametrize("name", [*BEFORE_THE_FIRST_BYTE, *FIRST_EVENT, *AFTER_THE_ROLE])
async def test_a_stream_comes_from_the_teacher_and_is_one_voice(name: str) -> None:
    fault = (BEFORE_THE_FIRST_BYTE | FIRST_EVENT | AFTER_THE_ROLE)[name]
    async with rig(student=ONCE | IMPATIENT) as on:
        on.student.script(fault.script)
        on.teacher.script(Say("4", "2"))

        response, events = await on.events()

        assert response.status_code == 200
        assert response.headers["x-tutelage-served-by"] == "teacher"
        assert events[-1] == "[DONE]"
        chunks = [json.loads(event) for event in events[:-1]]
        assert len({chunk["id"] for chunk in chunks}) == 1
        said = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
        assert "".join(said) == "42"
        await settled(on, fault)


async def test_a_student_that_refuses_connections_is_replaced() -> None:
    async with rig(student=ONCE) as on:
        await on.student.close()
        on.teacher.script(Say("4", "2"))

        for stream in (False, True):
            if stream:
                _, events = await on.events()
                assert events[-1] == "[DONE]"
            else:
                assert (await on.ask()).headers["x-tutelage-reason"] == "student_error"

        assert (await on.traces.exchange(2)).outcome == "served"
