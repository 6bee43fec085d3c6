"""A gateway with keys: who has one is served and named in the trace, others are told why not."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import AuthenticationError

from gateway.callers import KeyHolders
from gateway.keys import Keyring, KeyringError
from tests.journeys.rig import HELLO, rig

pytestmark = pytest.mark.anyio


@dataclass
class HandClock:
    now_s: float = 1000.0

    def unix_s(self) -> float:
        return self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


async def test_a_key_opens_the_door_and_names_the_caller(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys.db")
    key = keyring.create("checkout", now_s=1.0)
    async with rig(callers=KeyHolders(keyring, HandClock())) as on:
        client = on.openai.with_options(api_key=key)

        await client.chat.completions.create(model="support", messages=HELLO)
        assert len([model async for model in client.models.list()]) == 3
        assert (await on.traces.exchange()).caller == "checkout"


@pytest.mark.parametrize("key", ["sk-other", "tk-00000000-00", "tk-"])
async def test_no_other_key_does(tmp_path: Path, key: str) -> None:
    keyring = Keyring(tmp_path / "keys.db")
    real = keyring.create("checkout", now_s=1.0)
    async with rig(callers=KeyHolders(keyring, HandClock())) as on:
        for wrong in (key, real[:-1] + ("0" if real[-1] != "0" else "1"), f"{real}0"):
            with pytest.raises(AuthenticationError, match="API key"):
                await on.openai.with_options(api_key=wrong).chat.completions.create(
                    model="support", messages=HELLO
                )
        assert (await on.http.get("/v1/models")).json()["error"]["code"] == "invalid_api_key"
        assert on.journal == []


async def test_a_revoked_key_is_refused_within_two_seconds(tmp_path: Path) -> None:
    keyring, clock = Keyring(tmp_path / "keys.db"), HandClock()
    key = keyring.create("checkout", now_s=1.0)
    callers = KeyHolders(keyring, clock)
    assert callers.identify(f"Bearer {key}") == "checkout"

    keyring.revoke(key.split("-")[1], now_s=2.0)
    clock.now_s += 2.0

    with pytest.raises(Exception, match="revoked"):
        callers.identify(f"Bearer {key}")
    with pytest.raises(KeyringError, match="no key"):
        keyring.revoke(key.split("-")[1], now_s=3.0)


async def test_the_file_holds_no_secret_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    secret = Keyring(path).create("checkout", now_s=1.0).rpartition("-")[2]

    assert secret.encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
