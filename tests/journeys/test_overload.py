"""More requests than fit: some wait their turn, the rest are told when to come back."""

import asyncio
from typing import Any

import httpx
import pytest

from serving.scripts import Behaviour, Say, Status
from tests.journeys.rig import HELLO, Rig, rig

pytestmark = pytest.mark.anyio

ONE: dict[str, Any] = {"max_in_flight": 1, "queue_s": 3600.0}


async def queued(on: Rig, count: int = 1) -> None:
    """Wait until so many requests stand in the queue."""
    while on.on.admission.queued != count:  # noqa: ASYNC110 - it has no event to wait for
        await asyncio.sleep(0)


async def test_too_many_requests_are_told_when_to_come_back() -> None:
    async with rig(server={**ONE, "max_queued": 0}) as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("slow", held=True))
        slow = tasks.create_task(on.ask("support:student"))
        await on.student.called()

        refused = await on.ask()
        on.student.resume()

        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "overloaded"
        assert int(refused.headers["retry-after"]) >= 1
        assert (await slow).status_code == 200
        assert (await on.ask("support:teacher")).status_code == 200


async def test_a_request_that_waited_its_turn_is_served() -> None:
    async with rig(server=ONE) as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("slow", held=True), Say("quick"))
        slow = tasks.create_task(on.ask("support:student"))
        await on.student.called()
        patient = tasks.create_task(on.ask("support:student"))
        await queued(on)
        assert len(on.student.requests) == 1
        on.student.resume()

        assert (await slow).status_code == (await patient).status_code == 200


async def test_a_client_that_leaves_the_queue_frees_its_place() -> None:
    async with rig(server={**ONE, "max_queued": 1}) as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("slow", held=True), Say("quick"))
        slow = tasks.create_task(on.ask("support:student"))
        await on.student.called()
        body = {"model": "support:student", "messages": HELLO}
        leaving = tasks.create_task(on.http.post("/v1/chat/completions", json=body))
        await queued(on)

        leaving.cancel()
        await queued(on, 0)
        following = tasks.create_task(on.ask("support:student"))
        await queued(on)
        on.student.resume()

        assert (await slow).status_code == (await following).status_code == 200
        assert len(on.student.requests) == 2, "who left was never asked for"


async def test_a_request_that_waits_too_long_is_told_so() -> None:
    async with rig(server={"max_in_flight": 1, "queue_s": 0.05}) as on:
        on.student.script(Say("slow", held=True))
        async with asyncio.TaskGroup() as tasks:
            slow = tasks.create_task(on.ask("support:student"))
            await on.student.called()

            late = await on.ask()
            on.student.resume()

        assert late.status_code == 429
        assert "none ended in 0.05 s" in late.json()["error"]["message"]
        assert slow.result().status_code == 200


@pytest.mark.parametrize("code", [429, 503])
async def test_an_engines_retry_after_reaches_the_client_when_nobody_can_serve(code: int) -> None:
    async with rig() as on:
        for engine in (on.student, on.teacher):
            engine.script(Status(code, None, {"retry-after": "17"}))

        answer = await on.ask()

        assert answer.status_code == code
        assert answer.headers["retry-after"] == "17"
        assert isinstance(answer.json()["error"]["code"], str)


async def test_a_dead_student_is_not_asked_again_and_again() -> None:
    """Once its circuit is open the teacher answers at once; then one call finds out."""
    breaker = {"failures": 2, "open_s": 3600.0, "max_open_s": 3600.0}
    async with rig(student={"retries": 0, "breaker": breaker}) as on:
        on.student.script(Status(500))

        answers = [await on.ask() for _ in range(5)]

        assert {each.headers["x-tutelage-served-by"] for each in answers} == {"teacher"}
        assert len(on.student.requests) == 2
        ready = await on.http.get("/readyz")
        assert ready.status_code == 200, "the teacher is there"
        assert "circuit open" in ready.json()["upstreams"]["student"]
        assert await on.metric("tutelage_upstream_state", upstream="student") == 2
        assert await on.metric("tutelage_upstream_state", upstream="teacher") == 0


async def test_a_student_that_flaps_is_never_seen_to() -> None:
    async with rig(
        student={"retries": 0, "breaker": {"open_s": 3600.0, "max_open_s": 3600.0}}
    ) as on:
        flapping: list[Behaviour] = [Status(500), Say("well")]
        on.student.script(*flapping * 20)

        answers = [await on.ask() for _ in range(25)]

        assert {each.status_code for each in answers} == {200}
        assert len(on.student.requests) == 19, "ten failures in the last twenty calls"


async def test_a_prompt_that_does_not_fit_the_student_goes_to_the_teacher() -> None:
    too_long = {"message": "too long", "type": "exceed_context_size_error", "code": 400}
    async with rig() as on:
        on.student.script(Status(400, {"error": too_long}))
        on.teacher.script(Say("fits"))

        assert _said(await on.ask()) == "fits"

        on.teacher.script(Status(400, {"error": too_long}))
        refused = await on.ask()
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "context_length_exceeded"


def _said(answer: httpx.Response) -> Any:
    return answer.json()["choices"][0]["message"]["content"]
