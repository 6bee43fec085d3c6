"""A client that asked for one engine and no other reads a proper error; the books say failed."""

import json

import pytest

from tests.journeys.faults import (
    AFTER_THE_ROLE,
    BEFORE_THE_FIRST_BYTE,
    FIRST_EVENT,
    IMPATIENT,
    WHOLE,
    Fault,
)
from tests.journeys.rig import HELLO, Rig, rig

pytestmark = pytest.mark.anyio

ONCE = {"retries": 0}


async def refused(on: Rig, fault: Fault, *, stream: bool) -> None:
    body = {"model": "support:teacher", "messages": HELLO, "stream": stream}
    response = await on.http.post("/v1/chat/completions", json=body)

    assert response.status_code == fault.status
    assert response.headers["content-type"] == "application/json"
    error = json.loads(response.content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == fault.code
    assert error["message"]
    exchange = await on.traces.exchange()
    assert exchange.outcome == "failed"
    assert response.headers["x-tutelage-trace-id"] == str(exchange.trace_id)
    assert exchange.teacher is not None
    assert exchange.teacher.error
    assert not exchange.teacher.complete
    assert on.student.requests == []
    assert await on.metric("tutelage_requests_total", status=str(fault.status)) == 1
    assert await on.metric("tutelage_requests_total") == 1
    assert await on.metric("tutelage_in_flight") == 0


@pytest.mark.parametrize("name", [*BEFORE_THE_FIRST_BYTE, *WHOLE])
async def test_a_whole_answer_that_fails_is_an_error(name: str) -> None:
    fault = (BEFORE_THE_FIRST_BYTE | WHOLE)[name]
    async with rig(teacher=ONCE | IMPATIENT) as on:
        on.teacher.script(fault.script)

        await refused(on, fault, stream=False)


@pytest.mark.parametrize("name", [*BEFORE_THE_FIRST_BYTE, *FIRST_EVENT, *AFTER_THE_ROLE])
async def test_a_stream_that_fails_at_once_is_an_error_and_no_stream(name: str) -> None:
    fault = (BEFORE_THE_FIRST_BYTE | FIRST_EVENT | AFTER_THE_ROLE)[name]
    async with rig(teacher=ONCE | IMPATIENT) as on:
        on.teacher.script(fault.script)

        await refused(on, fault, stream=True)


async def test_a_time_to_come_back_is_passed_on_and_none_is_made_up() -> None:
    async with rig(teacher=ONCE) as on:
        for name, told in (("429 with Retry-After", "7"), ("429", None)):
            on.teacher.script(BEFORE_THE_FIRST_BYTE[name].script)

            response = await on.ask("support:teacher")

            assert response.status_code == 429
            assert response.json()["error"]["type"] == "rate_limit_error"
            assert response.headers.get("retry-after") == told
