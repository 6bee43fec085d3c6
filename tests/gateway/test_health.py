"""Ready: each route has a model that answers, and that calls have not found to be broken."""

import pytest

from gateway.breaker import BreakerRule
from gateway.health import Health
from gateway.route import RouteTable
from gateway.upstream import Upstream
from serving.scripted_engine import ScriptedEngine
from tests.gateway.upstreams import Bench

pytestmark = pytest.mark.anyio


async def state(on: Upstream, bench: Bench) -> str:
    """As a fresh probe finds it."""
    return (await Health(RouteTable([]), {"student": on}, bench.loop).states())["student"]


async def test_one_replica_that_answers_is_enough(bench: Bench) -> None:
    async with ScriptedEngine(model="m") as gone, ScriptedEngine(model="m") as there:
        await gone.close()

        assert await state(bench.upstream(gone.base_url, there.base_url), bench) == "up"
        assert "connection failed" in await state(bench.upstream(gone.base_url), bench)


async def test_an_engine_that_lists_its_models_but_fails_every_call_is_down_until_its_probe(
    bench: Bench,
) -> None:
    async with ScriptedEngine(model="m") as engine:
        on = bench.upstream(engine.base_url, rule=BreakerRule(failures=1, open_s=4.0))
        assert await state(on, bench) == "up"

        on.replicas.all[0].breaker.failed()
        assert await state(on, bench) == "circuit open, next probe in 4.0 s"

        bench.loop.wait(4.0)
        assert await state(on, bench) == "up", "or no traffic would come to close it"
