"""The URL table and nothing else."""

from fastapi import FastAPI
from starlette.routing import Route

from gateway.endpoints import ChatEndpoint, cold_routes
from gateway.services import Services


def mount(app: FastAPI, on: Services) -> None:
    """Hot paths are raw ASGI endpoints; the cold ones are ordinary FastAPI routes."""
    app.router.routes.append(
        Route("/v1/chat/completions", ChatEndpoint(on), methods=["POST"], name="chat")
    )
    app.include_router(cold_routes(on))
