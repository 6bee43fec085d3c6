"""The description at /openapi.json: what schemathesis cannot see from outside."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.asgi import Receive, Scope, Send
from gateway.errors import GatewayError, NoSuchPath, Unauthorized
from gateway.http import Http
from gateway.openapi import DescribedApp
from gateway.routes import HOT

NOT_BY_STATUS = {Unauthorized, NoSuchPath}
"""Where keys are asked for, and where nothing is served."""


class Nowhere:
    """An endpoint that nobody calls."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    async def serve(self, _: Http) -> None: ...


def described(*, keyed: bool) -> dict[str, Any]:
    app = DescribedApp(models=["support"], keyed=keyed)
    for path in HOT:
        app.add_hot(path, Nowhere())
    return app.openapi()


def kinds(of: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


@pytest.mark.parametrize("path", HOT)
def test_every_hot_path_says_with_what_it_can_fail(path: str) -> None:
    responses = described(keyed=False)["paths"][path]["post"]["responses"]
    statuses = {str(kind.status) for kind in kinds() if kind not in NOT_BY_STATUS}

    assert len(statuses) >= 8
    assert statuses - set(responses) == set()


@pytest.mark.parametrize("path", HOT)
def test_a_key_is_asked_for_where_keys_are(path: str) -> None:
    free, keyed = (described(keyed=keyed)["paths"][path]["post"] for keyed in (False, True))

    assert "security" not in free
    assert "401" not in free["responses"]
    assert keyed["security"] == [{"key": []}]
    assert "401" in keyed["responses"]


def test_every_reference_leads_somewhere() -> None:
    document = described(keyed=True)
    schemas = document["components"]["schemas"]
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))

    assert len(names) > 8
    assert names <= set(schemas)
    assert "HTTPValidationError" not in schemas


def test_a_model_is_one_of_those_that_there_are() -> None:
    chat = described(keyed=False)["components"]["schemas"]["ChatRequest"]

    assert chat["properties"]["model"]["enum"] == ["support"]


def test_the_methods_of_a_path_are_those_that_are_described() -> None:
    app = DescribedApp(models=[], keyed=False)

    assert app.methods_at("/v1/chat/completions") == ["POST"]
    assert app.methods_at("/v1/nowhere") == []
