"""The description at /openapi.json is true: schemathesis asks by it and finds nothing."""

from pathlib import Path

import pytest
from openai import AsyncOpenAI

from gateway.callers import KeyHolders
from gateway.clock import SystemClock
from gateway.keys import Keyring
from tests.conformance.standing import gateway, run

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

EXAMPLES = 40
"""For each endpoint and kind of data, over and above what the schema's own bounds suggest."""
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


def suite(url: str, tmp_path: Path, stored_id: str) -> list[str]:
    config = tmp_path / "schemathesis.toml"
    config.write_text(f'[parameters]\n"path.response_id" = "{stored_id}"\n')
    return [
        *("schemathesis", "--config-file", str(config), "run", f"{url}/openapi.json"),
        *("--mode", "all", "--generation-deterministic", "--no-color"),
    ]


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    async with gateway("support") as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="-") as client:
        stored = await client.responses.create(model="support", input="hello")
        found = await run(
            *suite(url, tmp_path, stored.id),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
            cwd=tmp_path,
            SCHEMATHESIS_HOOKS=str(HOOKS),
        )

    if found.code:
        pytest.fail(found.output, pytrace=False)


async def test_schemathesis_gets_in_nowhere_without_a_key(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys.db")
    key = keyring.create("schemathesis", now_s=1.0)
    callers = KeyHolders(keyring, SystemClock())
    async with (
        gateway("support", callers=callers) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as client,
    ):
        stored = await client.responses.create(model="support", input="hello")
        found = await run(
            *suite(url, tmp_path, stored.id),
            *("--phases", "fuzzing", "--max-examples", "10", "--checks", "ignored_auth"),
            *("--header", f"Authorization: Bearer {key}"),
            cwd=tmp_path,
            SCHEMATHESIS_HOOKS=str(HOOKS),
        )

    if found.code:
        pytest.fail(found.output, pytrace=False)
