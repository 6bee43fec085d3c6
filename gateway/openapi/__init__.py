"""The OpenAPI description of everything that is served; made when it is asked for.

    parts.py       what all paths share: errors, headers, types
    requests.py    the bodies of the raw ASGI endpoints, which FastAPI cannot see by itself
    answers.py     what they answer
    paths.py       the endpoints themselves

A request's schema says what this gateway refuses and no more: every other field passes through, and
the engine may still refuse it.
"""

import re
from copy import deepcopy
from typing import Any

from gateway.front import FrontApp
from gateway.openapi.answers import ANSWERS
from gateway.openapi.parts import BEARER, ERROR, KEYED, error
from gateway.openapi.paths import PATHS
from gateway.openapi.requests import requests

_PARAMETER = re.compile(r"\{\w+\}")
_NOT_KEYED = "operations"
"""The tag of what needs no key: probes and metrics."""


class DescribedApp(FrontApp):
    """`models`: the names a client may ask for. `keyed`: whether it must show an API key."""

    def __init__(self, *, models: list[str], keyed: bool, **settings: Any) -> None:  # noqa: ANN401 - FastAPI's own
        super().__init__(**settings)
        self._models = models
        self._keyed = keyed

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            document["paths"] |= deepcopy(PATHS)
            components = document.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            schemas |= {"OpenAIError": ERROR, **requests(self._models), **ANSWERS}
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            for operations in document["paths"].values():
                for operation in operations.values():
                    self._mend(operation)
            if self._keyed:
                components["securitySchemes"] = {KEYED: BEARER}
            self.openapi_schema = document
        return self.openapi_schema

    def methods_at(self, path: str) -> list[str]:
        """All that are served there, which Starlette cannot tell: it asks one route at a time."""
        found: set[str] = set()
        for template, operations in self.openapi()["paths"].items():
            if re.fullmatch(_PARAMETER.sub("[^/]+", template), path):
                found |= {method.upper() for method in operations}
        return sorted(found)

    def _mend(self, operation: dict[str, Any]) -> None:
        """What FastAPI says of a 422 is untrue here; who needs a key it cannot know."""
        responses = operation["responses"]
        if "HTTPValidationError" in str(responses.get("422")):
            del responses["422"]
        if self._keyed and _NOT_KEYED not in operation["tags"]:
            operation["security"] = [{KEYED: []}]
            responses["401"] = error("No API key, or one that does not work.")
