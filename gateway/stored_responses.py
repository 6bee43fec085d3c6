"""Stored responses: read, cancelled and deleted where they lie, at the engine that wrote them.

Their ids say where that is (`gateway.origin`). Which of several replicas has it, nobody knows: each
is asked until one does.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from fastapi import APIRouter, Request, Response, params
from fastapi.responses import StreamingResponse
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from gateway import transport
from gateway.clock import Clock
from gateway.errors import (
    GatewayError,
    NoSuchPath,
    UpstreamCut,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
)
from gateway.openapi.parts import EVENTS, JSON, Schema, errors, ref
from gateway.origin import Origin, unmark
from gateway.refusal import refusal
from gateway.responses import LOGPROBS_WISH, TERMINAL, ResponsesRequest, stored_request
from gateway.route import Role, RouteTable
from gateway.sse import DONE, MalformedStream, SseDecoder
from gateway.transport import TransportError
from gateway.upstream import Upstream
from gateway.wire import UNREADABLE

_NO_QUERY = QueryParams()
_OWN_ID = re.compile(r"[\w-]+")
_OK, _NOT_FOUND = 200, 404


class UnknownResponse(GatewayError):
    status, type, code = 404, "invalid_request_error", "response_not_found"
    param = "response_id"

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Response with id {response_id!r} not found: it is not from here, or its engine does "
            "not have it (any more); vLLM keeps responses only where it is told to"
        )


class _Verb(StrEnum):
    GET = "get"
    POST = "post"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class _Stored:
    routes: RouteTable
    clock: Clock


def stored_responses(routes: RouteTable, clock: Clock, keyed: list[params.Depends]) -> APIRouter:
    """`GET` and `DELETE /v1/responses/{id}`, `POST …/cancel`, `GET …/input_items`."""
    cold = APIRouter(prefix="/v1/responses", tags=["openai"], dependencies=keyed)
    on = _Stored(routes, clock)
    one, some = _answers("Response", streams=True), _answers("EngineAnswer", streams=False)

    for elsewhere in ("compact", "input_tokens"):
        cold.post(f"/{elsewhere}", include_in_schema=False)(_not_served)

    @cold.post("/{response_id}/cancel", response_class=Response, responses=one)
    async def cancel_response(response_id: str) -> Response:
        """Stop a response that is made in the background."""
        return await _ask(on, _Verb.POST, response_id, "/cancel")

    @cold.get("/{response_id}/input_items", response_class=Response, responses=some)
    async def list_input_items(response_id: str, request: Request) -> Response:
        """What a stored response answered, where the engine keeps that."""
        return await _ask(on, _Verb.GET, response_id, "/input_items", request.query_params)

    @cold.get("/{response_id}", response_class=Response, responses=one)
    async def retrieve_response(response_id: str, request: Request) -> Response:
        """A stored response; its events once more with `?stream=true`, where the engine can."""
        return await _ask(on, _Verb.GET, response_id, query=request.query_params)

    @cold.delete("/{response_id}", response_class=Response, responses=some)
    async def delete_response(response_id: str) -> Response:
        """Forget a stored response, where the engine can."""
        return await _ask(on, _Verb.DELETE, response_id)

    return cold


def _not_served(request: Request) -> None:
    """OpenAI's, and no local engine's: not a response that does not know POST."""
    raise NoSuchPath(_NOT_FOUND, f"POST {request.url.path} is not served here")


def _answers(name: str, *, streams: bool) -> dict[int | str, Schema]:
    content: Schema = {JSON: {"schema": ref(name)}}
    if streams:
        content[EVENTS] = {"schema": ref("Event")}
    failures = errors(400, 404, 422, 429, 502, 504)
    return {200: {"content": content}, **{int(each): failures[each] for each in failures}}


async def _ask(
    on: _Stored,
    verb: _Verb,
    response_id: str,
    rest: str = "",
    query: QueryParams = _NO_QUERY,
) -> Response:
    """`rest` follows the id in the path."""
    upstream, own_id, origin = _whereabouts(on.routes, response_id)
    wished = [each for name, each in query.multi_items() if name in {"include", "include[]"}]
    logprobs = LOGPROBS_WISH in wished
    path = f"/responses/{own_id}{rest}" + (f"?{query}" if query else "")
    try:
        async with asyncio.timeout(upstream.timeouts.total_s):
            answer = await _first_that_knows(upstream, verb, path, now_unix_s=on.clock.unix_s())
            if answer is None:
                raise UnknownResponse(response_id)
            if EVENTS in answer.headers.get("Content-Type", ""):
                asked = stored_request(stream=True, logprobs=logprobs)
                return _Told(answer, _retold(upstream, answer, asked, origin), media_type=EVENTS)
            body = await _read(upstream, answer)
    except TimeoutError as error:
        limit = f"no answer within total_s = {upstream.timeouts.total_s:g}"
        raise UpstreamTimedOut(upstream.name, limit) from error
    try:
        asked = stored_request(stream=False, logprobs=logprobs)
        shown = asked.shown(body, asked.hear(body, stream=False), origin)
    except UNREADABLE as error:
        problem = f"answered something that is no response: {error}"
        raise UpstreamFailed(upstream.name, problem) from error
    return Response(shown, media_type=JSON)


def _whereabouts(routes: RouteTable, response_id: str) -> tuple[Upstream, str, Origin]:
    """Raises UnknownResponse."""
    own_id, origin = unmark(response_id) or ("", Origin("", ""))
    if not _OWN_ID.fullmatch(own_id) or origin.role not in set(Role):
        raise UnknownResponse(response_id)
    for route in routes:
        if route.name == origin.route:
            return route.upstream(Role(origin.role)), own_id, origin
    raise UnknownResponse(response_id)


async def _first_that_knows(
    upstream: Upstream, verb: _Verb, path: str, *, now_unix_s: float
) -> transport.Response | None:
    """Raises UpstreamFailed or UpstreamRejected."""
    trouble: UpstreamFailed | None = None
    for replica in upstream.replicas.all:
        try:
            answer = await _send(upstream, verb, replica.base_url + path)
        except TransportError as error:
            trouble = UpstreamFailed(upstream.name, str(error))
            continue
        status = answer.status
        if status == _OK:
            return answer
        body = await _read(upstream, answer)
        if status != _NOT_FOUND:
            found = refusal(upstream.name, status, answer.headers, body, now_unix_s=now_unix_s)
            if isinstance(found, UpstreamRejected):
                raise found
            trouble = found
    if trouble is not None:
        raise trouble
    return None


async def _send(upstream: Upstream, verb: _Verb, url: str) -> transport.Response:
    match verb:
        case _Verb.GET:
            return await upstream.transport.get(url, upstream.headers)
        case _Verb.DELETE:
            return await upstream.transport.delete(url, upstream.headers)
        case _Verb.POST:
            return await upstream.transport.post(url, upstream.headers, b"")


async def _read(upstream: Upstream, answer: transport.Response) -> bytes:
    try:
        return await answer.read()
    except TransportError as error:
        raise UpstreamCut(upstream.name, str(error)) from error
    finally:
        answer.close()


class _Told(StreamingResponse):
    """Hangs up on the engine in the end, also where nobody read a single event."""

    def __init__(
        self, answer: transport.Response, events: AsyncIterator[bytes], *, media_type: str
    ) -> None:
        super().__init__(events, media_type=media_type)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()


async def _retold(
    upstream: Upstream, answer: transport.Response, asked: ResponsesRequest, origin: Origin
) -> AsyncIterator[bytes]:
    """The events as they come; a stream that breaks ends with an error event."""
    decoder = SseDecoder()
    over = False
    try:
        while data := await _some(upstream, answer):
            for payload in decoder.feed(data):
                if payload == DONE:
                    continue
                event = asked.hear(payload, stream=True)
                over = over or event.type in TERMINAL
                yield asked.framed(asked.shown(payload, event, origin))
        if not over:
            raise UpstreamCut(upstream.name, "the stream ended before the response did")
    except (TransportError, MalformedStream, *UNREADABLE) as error:
        yield asked.failed(UpstreamCut(upstream.name, str(error)))
    except UpstreamFailed as error:
        yield asked.failed(error)


async def _some(upstream: Upstream, answer: transport.Response) -> bytes:
    idle_s = upstream.timeouts.idle_s
    try:
        async with asyncio.timeout(idle_s):
            return await answer.read_some()
    except TimeoutError as error:
        raise UpstreamTimedOut(upstream.name, f"stalled: nothing for {idle_s:g} s") from error
