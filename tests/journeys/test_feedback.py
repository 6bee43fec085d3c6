"""What somebody thought of an answer finds its way to the answer's trace."""

from typing import Any

import pytest

from tests.journeys.rig import HELLO, rig

pytestmark = pytest.mark.anyio

NOBODYS = "01a20f3f-70d9-7027-b9b3-68a7d3668ad4"


async def test_feedback_on_an_answer_becomes_a_judgement_of_its_trace() -> None:
    async with rig() as on:
        answer = await on.openai.chat.completions.create(model="support", messages=HELLO)
        said = {"trace_id": answer._request_id, "score": 0.25, "label": "too long", "comment": "…"}

        accepted = await on.http.post("/v1/feedback", json=said)

        assert (accepted.status_code, accepted.json()["object"]) == (200, "feedback")
        judgement = await on.traces.judgement()
        assert (judgement.trace_id, judgement.by) == (answer._request_id, "feedback")
        assert (judgement.agreement, judgement.label, judgement.detail) == (0.25, "too long", "…")
        assert await on.metric("tutelage_feedback_total") == 1


async def test_a_correction_says_that_the_answer_was_wrong() -> None:
    async with rig() as on:
        answer = await on.ask()
        said = {"trace_id": answer.headers["x-tutelage-trace-id"], "correction": "42"}

        await on.http.post("/v1/feedback", json=said)

        judgement = await on.traces.judgement()
        assert (judgement.agreement, judgement.correction) == (0.0, "42")


@pytest.mark.parametrize(
    ("said", "status", "param"),
    [
        ({"trace_id": NOBODYS, "score": 1}, 404, "trace_id"),
        ({"trace_id": "x", "score": 1}, 400, "trace_id"),
        ({"trace_id": NOBODYS}, 400, None),
        ({"trace_id": NOBODYS, "comment": "hm"}, 400, None),
        ({"trace_id": NOBODYS, "score": 2}, 400, "score"),
        ({"trace_id": NOBODYS, "score": 1, "stars": 5}, 400, "stars"),
    ],
)
async def test_feedback_that_cannot_be_kept_is_told_why(
    said: dict[str, Any], status: int, param: str | None
) -> None:
    async with rig() as on:
        answer = await on.http.post("/v1/feedback", json=said)

        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
        assert on.traces.judgements == []
