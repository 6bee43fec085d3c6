"""The description at /openapi.json is true: schemathesis asks by it and finds nothing."""

from pathlib import Path

import pytest
from openai import AsyncOpenAI

from tests.conformance.standing import gateway, run

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

EXAMPLES = 40
"""For each endpoint and kind of data, over and above what the schema's own bounds suggest."""
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    async with gateway("support") as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="-") as client:
        stored = await client.responses.create(model="support", input="hello")
        config = tmp_path / "schemathesis.toml"
        config.write_text(f'[parameters]\n"path.response_id" = "{stored.id}"\n')

        found = await run(
            *("schemathesis", "--config-file", str(config), "run", f"{url}/openapi.json"),
            *("--mode", "all", "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-color"),
            cwd=tmp_path,
            SCHEMATHESIS_HOOKS=str(HOOKS),
        )

    if found.code:
        pytest.fail(found.output, pytrace=False)
