"""The URL table and nothing else."""

from functools import partial

from gateway.chat import parse_chat
from gateway.completions import parse_completion
from gateway.embeddings import parse_detokenize, parse_embeddings, parse_tokenize
from gateway.endpoints import HotEndpoint, cold_routes
from gateway.front import FrontApp
from gateway.journey import Parse
from gateway.responses import parse_responses
from gateway.services import Services

HOT: dict[str, Parse] = {
    "/v1/chat/completions": parse_chat,
    "/v1/completions": parse_completion,
    "/v1/responses": parse_responses,
    "/v1/embeddings": parse_embeddings,
    "/tokenize": parse_tokenize,
    "/detokenize": parse_detokenize,
}
"""`POST` to one of these is a request to a model; what reads its body stands beside it."""


def mount(app: FrontApp, on: Services) -> None:
    """Hot paths are raw ASGI endpoints; the cold ones are ordinary FastAPI routes."""
    dated: dict[str, Parse] = {"/v1/responses": partial(parse_responses, clock=on.clock)}
    for path, parse in {**HOT, **dated}.items():
        app.add_hot(path, HotEndpoint(on, parse))
    app.include_router(cold_routes(on))
