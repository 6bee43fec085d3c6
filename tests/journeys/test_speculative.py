"""A route whose teacher lets the student draft in its own engine: who serves, and what is kept."""

import json
from typing import Any

import pytest

from router.trace import Drafted, Reason
from serving.say import Drafted as Told
from serving.scripts import Json, Say, Status
from tests.journeys.rig import HELLO, rig

pytestmark = pytest.mark.anyio

SPECULATIVE = {"mode": "speculative"}
SPEAKING = Say("four", "teen", drafted=Told(steps=5, tokens=20, accepted=17))
KEPT = Drafted(steps=5, tokens=20, accepted=17)
PATHS = pytest.mark.parametrize(
    ("path", "question"),
    [("chat/completions", {"messages": HELLO}), ("completions", {"prompt": "Once"})],
)


@PATHS
@pytest.mark.parametrize(
    "wish",
    [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}],
    ids=["whole", "stream", "stream with usage"],
)
async def test_the_teacher_serves_and_how_its_drafts_fared_stays_with_us(
    path: str, question: dict[str, Any], wish: dict[str, Any]
) -> None:
    async with rig(route=SPECULATIVE) as on:
        on.teacher.script(SPEAKING)

        answer = await on.http.post(f"/v1/{path}", json={"model": "support", **question, **wish})

        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert answer.headers["x-tutelage-reason"] == "speculative"
        assert on.journal == ["teacher called", "teacher finished"]
        assert "speculative_decoding" not in answer.text
        assert '"metrics"' not in answer.text
        assert ('"usage":{' in answer.text) is (wish != {"stream": True})
        kept = await on.traces.exchange()
        assert (kept.mode, kept.reason) == ("speculative", Reason.SPECULATIVE)
        assert kept.student is None
        assert kept.teacher is not None
        assert kept.teacher.drafted == KEPT
        assert await on.metric("tutelage_draft_acceptance_ratio", route="support") == 0.85
        assert await on.metric("tutelage_draft_tokens_total", outcome="rejected") == 3
        assert await on.metric("tutelage_fallbacks_total") == 0


async def test_the_acceptance_of_many_answers_is_that_of_all_their_tokens() -> None:
    async with rig(route=SPECULATIVE) as on:
        on.teacher.script(SPEAKING, Say("no", drafted=Told(steps=1, tokens=80, accepted=3)))
        await on.ask()
        await on.ask()
        await on.traces.exchange(2)

        assert await on.metric("tutelage_draft_acceptance_ratio", route="support") == 0.2


async def test_a_deferral_to_a_teacher_that_speculates_is_counted_too() -> None:
    async with rig() as on:
        on.teacher.script(SPEAKING)

        await on.ask("support:teacher")

        kept = await on.traces.exchange()
        assert kept.teacher is not None
        assert kept.teacher.drafted == KEPT


async def test_an_engine_that_tells_nothing_of_drafts_serves_all_the_same() -> None:
    async with rig(route=SPECULATIVE) as on:
        answer = await on.ask()

        assert answer.headers["x-tutelage-reason"] == "speculative"
        kept = await on.traces.exchange()
        assert kept.teacher is not None
        assert kept.teacher.drafted is None
        assert "acceptance_ratio{" not in (await on.http.get("/metrics")).text


@pytest.mark.parametrize("metrics", ["fast", {"speculative_decoding": {"num_spec_steps": "few"}}])
async def test_metrics_of_an_unknown_form_are_no_reason_to_fail(metrics: object) -> None:
    async with rig(route=SPECULATIVE) as on:
        message = {"role": "assistant", "content": "hi"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        on.teacher.script(Json({"choices": [choice], "usage": usage, "metrics": metrics}))

        answer = await on.ask()

        assert answer.status_code == 200
        assert "metrics" not in json.loads(answer.text)


async def test_where_the_teacher_is_dead_the_student_serves() -> None:
    async with rig(route=SPECULATIVE, teacher={"retries": 0}) as on:
        on.teacher.script(Status(500))

        answer = await on.ask()

        assert answer.headers["x-tutelage-served-by"] == "student"
        assert answer.headers["x-tutelage-reason"] == "teacher_unavailable"
