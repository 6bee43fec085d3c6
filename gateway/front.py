"""FastAPI with a short way in: hot paths are looked up before its middleware and its router.

Those cost more than all that we do with a request, and a hot endpoint needs none of them: it reads
its own body, renders its own errors and has no dependencies.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.routing import Route

from gateway.asgi import Receive, Scope, Send
from gateway.direct import Serve
from gateway.http import Http


class Endpoint(Protocol):
    """A raw ASGI application that can also be handed an exchange."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]: ...
    def serve(self, http: Http) -> Awaitable[None]: ...


class FrontApp(FastAPI):
    """`POST` to a hot path goes straight to its endpoint."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - FastAPI's own
        super().__init__(**settings)
        self._hot: dict[str, Endpoint] = {}

    def add_hot(self, path: str, endpoint: Endpoint) -> None:
        """Also a route like any other, which refuses other methods."""
        self._hot[path] = endpoint
        self.router.routes.append(Route(path, endpoint, methods=["POST"]))

    @property
    def hot(self) -> Mapping[bytes, Serve]:
        """By path, for a server that knows what to do with them."""
        return {path.encode(): endpoint.serve for path, endpoint in self._hot.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._hot.get(scope["path"])
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
