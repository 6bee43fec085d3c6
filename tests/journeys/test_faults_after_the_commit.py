"""What breaks after the client's first byte ends loudly: an error event, and never a clean end."""

import json
from typing import Any

import openai
import pytest

from serving.scripts import Say
from tests.journeys.faults import IMPATIENT, MID_STREAM
from tests.journeys.rig import HELLO, rig

pytestmark = pytest.mark.anyio

SOON: dict[str, Any] = {"gate": {"window_tokens": 1}}
CODES = {"hang": "upstream_timed_out", "an error event": "upstream_failed"}
CUT = {"reset", "cut without [DONE]", "cut with the connection", "no finish_reason"}


@pytest.mark.parametrize("model", ["support", "support:teacher"])
@pytest.mark.parametrize("name", list(MID_STREAM))
async def test_a_stream_that_breaks_ends_with_an_error_event(name: str, model: str) -> None:
    patience = IMPATIENT if name == "hang" else {}
    async with rig(route=SOON, student=patience, teacher=patience) as on:
        for engine in (on.student, on.teacher):
            engine.script(MID_STREAM[name])

        response, events = await on.events(model)

        assert response.status_code == 200
        assert "[DONE]" not in events
        error = json.loads(events[-1])["error"]
        assert set(error) == {"message", "type", "param", "code"}
        if name in CODES:
            assert error["code"] == CODES[name]
        if name in CUT:
            assert error["code"] == "upstream_cut"
        said = [json.loads(event)["choices"][0] for event in events[:-1]]
        assert not any(choice["finish_reason"] for choice in said)
        await _settled(on, model)


async def _settled(on: Any, model: str) -> None:
    exchange = await on.traces.exchange()
    spoke, silent = exchange.student, exchange.teacher
    if model != "support":
        spoke, silent = silent, spoke
    assert exchange.outcome == "cut"
    assert (spoke.complete, silent) == (False, None)
    assert spoke.error
    assert spoke.text
    assert len(on.traces.exchanges) == 1
    assert await on.metric("tutelage_requests_total") == 1
    assert await on.metric("tutelage_in_flight") == 0


@pytest.mark.parametrize("name", list(MID_STREAM))
async def test_the_official_client_raises(name: str) -> None:
    patience = IMPATIENT if name == "hang" else {}
    async with rig(route=SOON, student=patience) as on:
        on.student.script(MID_STREAM[name])

        with pytest.raises(openai.APIError):
            async for _ in await on.openai.chat.completions.create(
                model="support", messages=HELLO, stream=True
            ):
                pass


@pytest.mark.parametrize("name", list(MID_STREAM))
async def test_what_breaks_within_the_window_is_never_seen(name: str) -> None:
    """The gate is still waiting: the teacher starts over, and the client reads one voice."""
    patience = IMPATIENT if name == "hang" else {}
    async with rig(student=patience) as on:
        on.student.script(MID_STREAM[name])
        on.teacher.script(Say("4", "2"))

        response, events = await on.events()

        assert events[-1] == "[DONE]"
        said = [json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1]]
        assert "".join(said) == "42"
        assert response.headers["x-tutelage-served-by"] == "teacher"
        exchange = await on.traces.exchange()
        assert exchange.student is not None
        assert exchange.student.error
