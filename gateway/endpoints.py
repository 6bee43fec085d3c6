"""The endpoints behind the URL table: the raw ASGI ones and the cold ones."""

from collections.abc import Awaitable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel

from gateway.asgi import AsgiHttp, Receive, Scope, Send
from gateway.errors import UnknownModel
from gateway.exposition import CONTENT_TYPE
from gateway.feedback import FeedbackBox, feedback_route
from gateway.http import Http
from gateway.journey import Parse, journey
from gateway.openapi.parts import errors
from gateway.services import Services
from gateway.stored_responses import stored_responses

Statuses = dict[int | str, dict[str, Any]]
"""FastAPI's own type of what a route may answer."""


class HotEndpoint:
    """A raw ASGI application: no request or response objects."""

    def __init__(self, on: Services, parse: Parse) -> None:
        self._on = on
        self._parse = parse

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.serve(AsgiHttp(scope, receive, send, max_body_bytes=self._on.max_body_bytes))

    def serve(self, http: Http) -> Awaitable[None]:
        """Not `async` itself: every frame on the way is resumed again for every chunk."""
        return journey(http, self._on, self._parse)


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["tutelage"] = "tutelage"


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """`upstreams`: `up`, or what is wrong with it, by name."""

    ready: bool
    upstreams: dict[str, str]


def cold_routes(on: Services) -> APIRouter:
    cold = APIRouter()
    created = int(on.clock.unix_s())

    def known_caller(
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> None:
        on.callers.identify(authorization)

    keyed = [Depends(known_caller)]

    no_such: Statuses = {404: errors(404)["404"]}

    @cold.get("/v1/models", tags=["openai"], dependencies=keyed)
    async def models() -> Models:
        """The routes, and their pins (`route:student`, `route:teacher`)."""
        return Models(data=[Model(id=name, created=created) for name in on.routes.models])

    @cold.get("/v1/models/{model:path}", tags=["openai"], dependencies=keyed, responses=no_such)
    async def model(model: str) -> Model:
        """One route or pin."""
        if model not in on.routes.models:
            raise UnknownModel(model, on.routes.models)
        return Model(id=model, created=created)

    box = FeedbackBox(on.tap.traces, on.find_trace, on.metrics, on.clock)
    cold.include_router(feedback_route(box, on.callers, max_body_bytes=on.max_body_bytes))
    cold.include_router(stored_responses(on.routes, on.clock, keyed))

    @cold.get("/healthz", tags=["operations"])
    async def healthz() -> Alive:
        """The process is alive."""
        return Alive()

    @cold.get("/readyz", tags=["operations"], responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Every route can be served by its student or its teacher."""
        ready, upstreams = await on.health.readiness()
        response.status_code = 200 if ready else 503
        return Readiness(ready=ready, upstreams=upstreams)

    exposition: Statuses = {200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}}

    @cold.get("/metrics", tags=["operations"], response_class=Response, responses=exposition)
    def metrics() -> Response:
        """The Prometheus text format; rendered in a thread, away from the event loop."""
        return Response(on.metrics.render(), media_type=CONTENT_TYPE)

    return cold
