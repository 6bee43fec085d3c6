"""What doctor says of a route that verifies."""

import asyncio
from typing import Any

import pytest

from gateway.config import Settings
from gateway.verify_doctor import examined
from serving.scripted_engine import Flavour, ScriptedEngine


async def seen(teacher: Flavour, **route: Any) -> list[tuple[bool, str]]:
    async with (
        ScriptedEngine(model="small") as low,
        ScriptedEngine(model="large", flavour=teacher) as high,
    ):
        said = {
            "upstreams": {
                "low": {"base_url": low.base_url, "model": "small"},
                "high": {"base_url": high.base_url, "model": "large"},
            },
            "routes": {"support": {"student": "low", "teacher": "high", **route}},
        }
        settings = Settings.model_validate(said)
        found = await asyncio.to_thread(lambda: list(examined(settings, {})))
    return [(present, detail) for _, present, detail in found]


async def test_a_pair_that_can_be_verified_is_told_with_its_context() -> None:
    ((present, detail),) = await seen("vllm", fallback="verify")

    assert present
    assert "8192 tokens" in detail


async def test_a_pair_that_cannot_is_told_why() -> None:
    ((present, detail),) = await seen("llamacpp", fallback="verify")

    assert not present
    assert "the teacher tells no token ids" in detail


@pytest.mark.parametrize(
    "route", [{"shadow": {"method": "verify"}}, {"on_collapse": "takeover"}, {"fallback": "verify"}]
)
async def test_whatever_needs_a_teacher_that_reads_is_examined(route: dict[str, Any]) -> None:
    ((present, _),) = await seen("vllm", **route)

    assert present


async def test_each_replica_is_examined() -> None:
    async with (
        ScriptedEngine(model="small") as low,
        ScriptedEngine(model="large") as high,
        ScriptedEngine(model="large", flavour="llamacpp") as odd,
    ):
        said = {
            "upstreams": {
                "low": {"base_url": low.base_url, "model": "small"},
                "high": {"base_url": [high.base_url, odd.base_url], "model": "large"},
            },
            "routes": {"support": {"student": "low", "teacher": "high", "fallback": "verify"}},
        }
        settings = Settings.model_validate(said)
        found = await asyncio.to_thread(lambda: list(examined(settings, {})))

    assert [present for _, present, _ in found] == [True, False]
    assert odd.base_url in found[1][2]


async def test_a_route_that_does_not_verify_is_not_examined() -> None:
    assert await seen("vllm") == []
