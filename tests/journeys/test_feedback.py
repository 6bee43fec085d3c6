"""What somebody thought of an answer finds its way to the answer's trace."""

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.callers import KeyHolders
from gateway.clock import SystemClock
from gateway.errors import BadRequest, StoreUnavailable
from gateway.feedback import Feedback, FeedbackBox, parse_feedback
from gateway.keys import Keyring
from gateway.traces.store import ServedTrace, TraceStoreError
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
        labels = {"route": "support", "served_by": "student"}
        assert await on.metric("tutelage_feedback_total", **labels) == 1
        assert await on.metric("tutelage_feedback_score_sum", **labels) == 0.25


async def test_a_correction_says_that_the_answer_was_wrong() -> None:
    async with rig() as on:
        answer = await on.ask()
        said = {"trace_id": answer.headers["x-tutelage-trace-id"], "correction": "42"}

        await on.http.post("/v1/feedback", json=said)

        judgement = await on.traces.judgement()
        assert (judgement.agreement, judgement.correction) == (0.0, "42")


@pytest.mark.parametrize("said", [{"label": "thumbs_up"}, {"comment": "nice"}])
async def test_words_alone_are_feedback_without_a_score(said: dict[str, Any]) -> None:
    async with rig() as on:
        answer = await on.ask()
        said["trace_id"] = answer.headers["x-tutelage-trace-id"]

        assert (await on.http.post("/v1/feedback", json=said)).status_code == 200

        judgement = await on.traces.judgement()
        assert judgement.agreement is None
        assert {judgement.label, judgement.detail} == {said.get("label"), said.get("comment", "")}
        assert await on.metric("tutelage_feedback_total") == 1
        assert await on.metric("tutelage_feedback_score_count") == 0


async def test_feedback_names_the_caller_and_needs_a_key(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys.db")
    key = keyring.create("survey", now_s=1.0)
    async with rig(callers=KeyHolders(keyring, SystemClock())) as on:
        on.http.headers["authorization"] = f"Bearer {key}"
        answer = await on.ask()
        said = {"trace_id": answer.headers["x-tutelage-trace-id"], "score": 1}

        assert (await on.http.post("/v1/feedback", json=said)).status_code == 200
        assert (await on.traces.judgement()).caller == "survey"
        del on.http.headers["authorization"]
        refused = await on.http.post("/v1/feedback", json=said)
        assert refused.json()["error"]["code"] == "invalid_api_key"


async def test_a_key_may_judge_only_what_its_own_caller_was_answered(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys.db")
    survey, other, second = (
        {"authorization": f"Bearer {keyring.create(name, now_s=1.0)}"}
        for name in ("survey", "other", "survey")
    )
    async with rig(callers=KeyHolders(keyring, SystemClock())) as on:
        on.http.headers.update(survey)
        answer = await on.ask()
        trace_id = answer.headers["x-tutelage-trace-id"]
        said: dict[str, Any] = {"trace_id": trace_id, "score": 1}
        await on.traces.exchange()

        foreign = await on.http.post("/v1/feedback", json=said, headers=other)
        unknown = await on.http.post("/v1/feedback", json={**said, "trace_id": NOBODYS})
        assert (foreign.status_code, unknown.status_code) == (404, 404)
        assert foreign.text.replace(trace_id, NOBODYS) == unknown.text
        assert on.traces.judgements == []
        assert await on.metric("tutelage_feedback_total") == 0

        assert (await on.http.post("/v1/feedback", json=said, headers=second)).status_code == 200


async def test_a_trace_that_is_stored_a_moment_later_is_waited_for() -> None:
    async with rig() as on:
        answer = await on.ask()
        kept, looks = on.traces.find, []

        def find(trace_id: str) -> ServedTrace | None:
            looks.append(trace_id)
            return kept(trace_id) if len(looks) > 1 else None

        box = FeedbackBox(on.traces, find, on.on.metrics, on.on.clock)
        await on.traces.exchange()
        await box.drop(Feedback(trace_id=answer.headers["x-tutelage-trace-id"], score=1.0), None)

        assert len(looks) == 2
        assert len(on.traces.judgements) == 1


async def test_a_store_that_cannot_be_read_is_told_in_our_words_not_its_own() -> None:
    def broken(_: str) -> ServedTrace | None:
        raise TraceStoreError("store: /var/lib/traces.db cannot be read")

    async with rig() as on:
        box = FeedbackBox(on.traces, broken, on.on.metrics, on.on.clock)
        with pytest.raises(StoreUnavailable, match="at the moment"):
            await box.drop(Feedback(trace_id=NOBODYS, score=1.0), None)


async def test_a_body_of_another_kind_or_size_is_refused() -> None:
    async with rig(server={"max_body_bytes": 1024}) as on:
        said = f'{{"trace_id": "{NOBODYS}", "comment": "{"x" * 1024}"}}'
        large = await on.http.post(
            "/v1/feedback", content=said, headers={"content-type": "application/json"}
        )
        form = await on.http.post("/v1/feedback", data={"trace_id": NOBODYS})

        assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
        assert (form.status_code, form.json()["error"]["code"]) == (415, "unsupported_media_type")


@given(st.binary())
def test_no_bytes_crash_the_parser(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        parse_feedback(body)


@given(st.floats(0, 1), st.text(min_size=1, max_size=200))
def test_what_is_said_is_what_is_read(score: float, label: str) -> None:
    said = {"trace_id": NOBODYS, "score": score, "label": label}

    found = parse_feedback(msgspec.json.encode(said))

    assert (found.score, found.label, found.agreement) == (score, label, score)


@pytest.mark.parametrize(
    ("said", "status", "param"),
    [
        ({"trace_id": NOBODYS, "score": 1}, 404, "trace_id"),
        ({"trace_id": "x", "score": 1}, 400, "trace_id"),
        ({"trace_id": NOBODYS}, 400, None),
        ({"trace_id": NOBODYS, "label": None, "comment": None}, 400, None),
        ({"trace_id": NOBODYS, "comment": ""}, 400, "comment"),
        ({"trace_id": NOBODYS, "comment": "x" * 10_001}, 400, "comment"),
        ({"trace_id": NOBODYS, "score": "1"}, 400, "score"),
        ({"trace_id": NOBODYS, "score": True}, 400, "score"),
        ({"score": 1}, 400, "trace_id"),
        ([], 400, None),
        ({"trace_id": NOBODYS, "score": 2}, 400, "score"),
        ({"trace_id": NOBODYS, "score": 1, "stars": 5}, 400, "stars"),
    ],
)
async def test_feedback_that_cannot_be_kept_is_told_why(
    said: Any, status: int, param: str | None
) -> None:
    async with rig() as on:
        answer = await on.http.post("/v1/feedback", json=said)

        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
        assert on.traces.judgements == []
