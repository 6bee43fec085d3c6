"""llm-comply, which holds answers to the published schemas of chat completions and responses."""

import json
from typing import Any

import pytest

from serving.scripted_engine import Flavour
from tests.conformance.standing import gateway, run

pytestmark = pytest.mark.anyio

MODEL = "gpt-5-like"
"""A name by which llm-comply also asks for reasoning."""
SUITES = {"openai-chat": 9, "open-responses": 13}
"""By format, how many tests there are at least."""


FLAVOURS: dict[Flavour, str] = {"vllm": "", "llamacpp": "'created_at' is a required property"}
"""By engine, what is not held against it: llama.cpp tells only at the end when it began."""


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("form", SUITES)
async def test_llm_comply_finds_nothing(form: str, flavour: Flavour) -> None:
    async with gateway(MODEL, flavour=flavour) as url:
        found = await run(
            *("llm-comply", "run", "--format", form, "--json"),
            *("--base-url", f"{url}/v1", "--api-key", "none", "--model", MODEL),
            *("--ignore", FLAVOURS[flavour]),
        )

    results: list[dict[str, Any]] = json.loads(found.output)["results"]
    assert [f"{one['id']}: {one}" for one in results if one["status"] != "passed"] == []
    assert len(results) >= SUITES[form]
