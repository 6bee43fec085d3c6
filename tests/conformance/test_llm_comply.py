"""llm-comply, which holds answers to the published schemas of chat completions and responses."""

import json
from typing import Any

import pytest

from tests.conformance.standing import gateway, run

pytestmark = pytest.mark.anyio

MODEL = "gpt-5-like"
"""A name by which llm-comply also asks for reasoning."""
SUITES = {"openai-chat": 9, "open-responses": 13}
"""By format, how many tests there are at least."""


@pytest.mark.parametrize("form", SUITES)
async def test_llm_comply_finds_nothing(form: str) -> None:
    async with gateway(MODEL) as url:
        found = await run(
            *("llm-comply", "run", "--format", form, "--json"),
            *("--base-url", f"{url}/v1", "--api-key", "none", "--model", MODEL),
        )

    results: list[dict[str, Any]] = json.loads(found.output)["results"]
    assert [f"{one['id']}: {one}" for one in results if one["status"] != "passed"] == []
    assert len(results) >= SUITES[form]
