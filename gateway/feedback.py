"""`POST /v1/feedback`: what somebody thought of an answer, kept as a judgement of its trace."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from gateway.asgi import AsgiHttp, Message
from gateway.callers import Callers
from gateway.clock import Clock
from gateway.errors import BadRequest, ClientLeft, NoSuchTrace, StoreUnavailable
from gateway.metrics import Metrics
from gateway.openapi.parts import JSON, Schema, errors
from gateway.traces.store import ServedTrace, TraceStoreError, TraceWriter
from router.trace import Judge, Judgement

log = logging.getLogger(__name__)

_LOOKS_AFTER_S = (0.0, 0.1, 0.3)
"""A trace is in the store 200 ms after its answer, whichever worker gave it."""

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

_SAYS_SOMETHING: JsonValue = [
    {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
    for name in ("score", "label", "comment", "correction")
]

FindTrace = Callable[[str], ServedTrace | None]
"""What is stored under an id; called in a thread. Raises TraceStoreError."""


class Feedback(BaseModel):
    """At least one of the last four; null means the same as not there."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_extra={"anyOf": _SAYS_SOMETHING}
    )

    trace_id: Annotated[
        str, Field(pattern=_UUID, description="The answer's x-tutelage-trace-id, its _request_id.")
    ]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None, description="0 is bad, 1 is good."
    )
    label: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="A word of your own: `too long`, say."
    )
    comment: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    correction: Annotated[str, Field(min_length=1, max_length=100_000)] | None = Field(
        default=None,
        description="What the answer should have been. Without a score, as good as 0.",
    )

    @property
    def agreement(self) -> float | None:
        if self.score is None and self.correction is not None:
            return 0.0
        return self.score

    @property
    def is_silent(self) -> bool:
        said = (self.score, self.label, self.comment, self.correction)
        return all(each is None for each in said)


class Accepted(BaseModel):
    """It will be in the trace store within 200 ms."""

    trace_id: str
    object: Literal["feedback"] = "feedback"


@dataclass(frozen=True, slots=True)
class FeedbackBox:
    """Where feedback is dropped into."""

    traces: TraceWriter
    find_trace: FindTrace
    metrics: Metrics
    clock: Clock

    async def drop(self, said: Feedback, caller: str | None) -> None:
        """caller: None where nobody is asked for a key. Raises NoSuchTrace, or StoreUnavailable."""
        found = await self._find(said.trace_id, caller)
        self.metrics.feedback_given(found.route, found.served_by, said.agreement)
        self.traces.put(
            Judgement(
                trace_id=said.trace_id,
                by=Judge.FEEDBACK,
                comparator="score",
                agreement=said.agreement,
                detail=said.comment or "",
                propensity=1.0,
                ts=self.clock.unix_s(),
                caller=caller,
                label=said.label,
                correction=said.correction,
            )
        )

    async def _find(self, trace_id: str, caller: str | None) -> ServedTrace:
        """Another caller's trace is looked for as long, and told of as little, as none at all."""
        for pause_s in _LOOKS_AFTER_S:
            await asyncio.sleep(pause_s)
            try:
                found = await asyncio.to_thread(self.find_trace, trace_id)
            except TraceStoreError as error:
                log.exception("feedback cannot be taken")
                raise StoreUnavailable from error
            if found is not None and caller in {None, found.caller}:
                return found
        raise NoSuchTrace(trace_id)


def feedback_route(box: FeedbackBox, callers: Callers, *, max_body_bytes: int) -> APIRouter:
    """Reads its own body: FastAPI would read one of any size, before it asks who is there."""
    router = APIRouter()
    failures = errors(400, 404, 413, 415, 503)
    schema: Schema = Feedback.model_json_schema()

    @router.post(
        "/v1/feedback",
        tags=["feedback"],
        responses={int(each): failures[each] for each in failures},
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}},
    )
    async def feedback(request: Request) -> Accepted:
        """Say how good an answer was, by its trace id."""
        http = AsgiHttp(request.scope, request.receive, _unsent, max_body_bytes=max_body_bytes)
        caller = callers.identify(http.header(b"authorization"))
        http.refuse_other_than_json()
        try:
            said = parse_feedback(await http.body())
        except ClientLeft as error:
            raise BadRequest("", "the body ended before its end") from error
        await box.drop(said, caller)
        return Accepted(trace_id=said.trace_id)

    return router


def parse_feedback(body: bytes) -> Feedback:
    """Raises BadRequest."""
    try:
        said = Feedback.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        problem = "unknown field" if first["type"] == "extra_forbidden" else first["msg"]
        raise BadRequest(field, problem) from error
    if said.is_silent:
        raise BadRequest("", "needs a `score`, a `label`, a `comment` or a `correction`")
    return said


async def _unsent(message: Message) -> None:
    raise NotImplementedError(message["type"])
