"""The official client's own API tests pass, of every endpoint that is served here.

They were written for a mock server that answers anything, so some of what they send is made up: a
model nowhere, a response that was never stored. `StandIns` puts in its place what stands here.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from openai import AsyncOpenAI
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.conformance.openai_tests import OpenaiTests
from tests.conformance.standing import gateway, run

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

FILES = (
    "chat/test_completions.py",
    "test_completions.py",
    "test_embeddings.py",
    "test_models.py",
    "test_responses.py",
    "responses/test_input_items.py",
)
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "chat/test_completions.py": {
        "retrieve": "chat completions are stored by no local engine, and not by us",
        "update": "as above",
        "list": "as above",
        "delete": "as above",
    },
    "test_completions.py": {
        "create_with_all_params_overload_1": "echo with logprobs: the first token has none, and "
        "engines and OpenAI say null there, which the client's own types do not know",
    },
    "test_embeddings.py": {
        "create[strict]": "the client asks for base64 and its strict mode then refuses that",
        "create[aiohttp]": "as above",
    },
    "test_models.py": {"delete": "routes are what the config says: no client deletes one"},
    "test_responses.py": {"compact": "no local engine has POST /v1/responses/compact"},
}
"""By file, which tests and why. A name stands for all three that send a request (`REQUESTS`), sync
and async; what a method checks before it sends anything (`test_path_params_…`) is run all the same.
"""
REQUESTS = ("method", "raw_response", "streaming_response")
LEAST = 280
"""How many tests there are at least."""

SAID: Any = {"input": "hello"}
MADE_UP_IDS = re.compile(rb"resp_677efb5139a88190b512bc3fef8e535d|(?<=[/\"])response_id(?=[/?]|$)")


class StandIns:
    """Before the gateway: made-up ids become that of a stored response; a response that names no
    model, or has nothing to say, gets both.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.model = ""
        self.stored_id = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.stored_id and scope["type"] == "http" and scope["path"].startswith("/v1/responses"):
            path = MADE_UP_IDS.sub(self.stored_id.encode(), scope["path"].encode())
            scope = {**scope, "path": path.decode(), "raw_path": path}
            if path == b"/v1/responses":
                receive = await self._filled(receive)
        await self._app(scope, receive, send)

    async def _filled(self, receive: Receive) -> Receive:
        raw, more = b"", True
        while more:
            message = await receive()
            raw += message.get("body", b"")
            more = message.get("more_body", False)
        body: dict[str, Any] = {"model": self.model, **SAID, **msgspec.json.decode(raw)}
        if body.get("previous_response_id"):
            body["previous_response_id"] = self.stored_id
        first = [{"type": "http.request", "body": msgspec.json.encode(body)}]

        async def filled() -> Any:
            return first.pop() if first else await receive()

        return filled


def models_in(files: Iterable[Path]) -> set[str]:
    """The names that the tests ask for; one with a colon is a fine-tuned model to be deleted."""
    asked = re.compile(r"""(?:model=|retrieve\(\s*)"([^":]+)\"""")
    return {name for file in files for name in asked.findall(file.read_text())}


def deselected() -> list[str]:
    found = []
    for file, methods in LEFT_OUT.items():
        resource = file.rpartition("/")[2].removeprefix("test_").removesuffix(".py").title()
        for kind in ("Test", "TestAsync"):
            for method in methods:
                found += [
                    f"tests/api_resources/{file}::{kind}{resource}::test_{how}_{method}"
                    for how in REQUESTS
                ]
    return found


async def test_the_official_clients_own_tests_pass(tmp_path: Path) -> None:
    tests = OpenaiTests.here()
    assert tests.root.is_dir(), "python -m tests.conformance.openai_tests fetches them"
    files: list[Path] = [tests.root / "tests" / "api_resources" / file for file in FILES]
    models = models_in(files)
    fronts: list[StandIns] = []

    def front(app: ASGIApp) -> ASGIApp:
        fronts.append(StandIns(app))
        return fronts[0]

    async with (
        gateway(*models, front=front) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="-") as client,
    ):
        (model,) = models_in([tests.root / "tests/api_resources/test_responses.py"])
        fronts[0].model = model
        fronts[0].stored_id = (await client.responses.create(model=model, **SAID)).id
        report = tmp_path / "report.xml"
        found = await run(
            "pytest",
            *files,
            *("--override-ini", "addopts=", "--tb", "short", "-q", "-p", "no:cacheprovider"),
            *("--junit-xml", str(report)),
            *(f"--deselect={each}" for each in deselected()),
            cwd=tests.root,
            TEST_API_BASE_URL=f"{url}/v1",
        )

    if found.code:
        pytest.fail(found.output, pytrace=False)
    suite = ET.parse(report).getroot()[0]
    assert int(suite.attrib["tests"]) >= LEAST
    assert suite.attrib["skipped"] == "0"
