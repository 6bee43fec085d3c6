"""Upstreams that are not ours to start, looked at over real HTTP."""

import asyncio

import pytest

from serving.checked import Secret
from serving.elsewhere import Elsewhere, Sight, look
from serving.ports import pick_free_port
from serving.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio


def at(base_url: str, *, model: str | None = "m", key: str | None = None) -> Elsewhere:
    secret = Secret(env=key) if key else None
    return Elsewhere(upstream="teacher", base_url=base_url, model=model, api_key=secret)


async def seen(place: Elsewhere, env: dict[str, str] | None = None) -> Sight:
    return await asyncio.to_thread(look, place, env or {}, clock=lambda: 0.0)


async def test_one_that_answers_and_has_the_model() -> None:
    async with ScriptedEngine(model="m") as engine:
        assert await seen(at(engine.base_url)) == Sight("answers", "in 0 ms")


async def test_one_that_has_another_model() -> None:
    async with ScriptedEngine(model="other") as engine:
        assert await seen(at(engine.base_url)) == Sight("answers", "but has no 'm': other")


async def test_its_key_is_sent_and_one_that_is_not_set_is_named() -> None:
    async with ScriptedEngine(model="m") as engine:
        await seen(at(engine.base_url, key="K"), {"K": "secret"})
        without = await seen(at(engine.base_url, key="K"))

    (asked,) = engine.probes
    assert dict(asked.headers)["authorization"] == "Bearer secret"
    assert without == Sight("refuses", "its key is not here: K is not set")


async def test_nobody_there() -> None:
    sight = await seen(at(f"http://127.0.0.1:{pick_free_port('127.0.0.1')}/v1"))

    assert sight.state == "unreachable"


async def test_one_that_speaks_something_else() -> None:
    async with ScriptedEngine(model="m") as engine:
        sight = await seen(at(engine.base_url.removesuffix("/v1") + "/nowhere"))

    assert sight == Sight("refuses", "GET /models: status 404")
