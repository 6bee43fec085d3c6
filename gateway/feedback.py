"""`POST /v1/feedback`: what somebody thought of an answer, kept as a judgement of its trace."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.clock import Clock
from gateway.errors import NoSuchTrace
from gateway.metrics import Metrics
from gateway.traces.store import TraceWriter
from router.trace import Judge, Judgement

_NOT_STORED_YET_S = 0.3
"""A trace is in the store 200 ms after its answer, whichever worker gave it."""

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

Knows = Callable[[str], bool]
"""Whether a trace of this id is stored; called in a thread."""


class Feedback(BaseModel):
    """score: 0 is bad, 1 is good. It may be left out where a `correction`, what the answer should
    have been, says that it was wrong. label: a word of the caller's own, `too long` say.
    """

    model_config = ConfigDict(extra="forbid")

    trace_id: Annotated[
        str, Field(pattern=_UUID, description="The answer's x-tutelage-trace-id, its _request_id.")
    ]
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    label: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    comment: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    correction: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None

    @model_validator(mode="after")
    def _says_how_good_it_was(self) -> Self:
        if self.score is None and self.correction is None:
            raise ValueError("needs a `score` between 0 and 1, or a `correction`")
        return self

    def judgement(self, ts: float) -> Judgement:
        return Judgement(
            trace_id=self.trace_id,
            by=Judge.FEEDBACK,
            comparator="score",
            agreement=self.score if self.score is not None else 0.0,
            detail=self.comment or "",
            propensity=1.0,
            ts=ts,
            label=self.label,
            correction=self.correction,
        )


class Accepted(BaseModel):
    """It will be in the trace store within 200 ms."""

    trace_id: str
    object: Literal["feedback"] = "feedback"


def feedback_route(
    traces: TraceWriter, knows: Knows, *, metrics: Metrics, clock: Clock
) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/feedback", tags=["feedback"])
    async def feedback(said: Feedback) -> Accepted:
        """Say how good an answer was, by its trace id."""
        if not await asyncio.to_thread(knows, said.trace_id):
            await asyncio.sleep(_NOT_STORED_YET_S)
            if not await asyncio.to_thread(knows, said.trace_id):
                raise NoSuchTrace(said.trace_id)
        traces.put(said.judgement(clock.unix_s()))
        metrics.feedback_given()
        return Accepted(trace_id=said.trace_id)

    return router
