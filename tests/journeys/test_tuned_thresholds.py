"""A threshold is tuned on the traces of a gateway, applied while it runs, and keeps its promise."""

import math
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from gateway.adopting import Adopting
from gateway.rulings import Ruling, Rulings
from router.evidence import Record, gather
from router.replay import replay
from router.trace import Judgement, ServedBy
from router.tuning import Wish, tune
from serving.scripts import Say
from tests.journeys.rig import KeptTraces, Rig, rig

pytestmark = pytest.mark.anyio

REQUESTS = 600
SURE = (0.998, 0.95, 0.6)
ROUTE = {
    "gate": {"threshold": 0.01},
    "shadow": {"rate": 1.0, "max_in_flight": 8},
    "compare": ["exact"],
}


async def send(on: Rig, random: np.random.Generator) -> None:
    """The student is right as often as it says; each request gets its pair before the next."""
    for _ in range(REQUESTS):
        sure = float(random.choice(SURE))
        word = "yes" if random.random() < sure else "no"
        on.student.script(Say(word, logprob=math.log(sure)))
        on.teacher.script(Say("yes"))
        seen = len(on.traces.judgements)
        await on.ask()
        await on.traces.judgement(seen + 1)


def records(traces: KeptTraces) -> list[Record]:
    judged = defaultdict[str, list[Judgement]](list)
    for each in traces.judgements:
        judged[each.trace_id].append(each)
    return [(each, judged[each.trace_id]) for each in traces.exchanges]


async def test_new_traffic_keeps_the_promise_of_an_applied_threshold(tmp_path: Path) -> None:
    rulings, random = Rulings(tmp_path / "state.db"), np.random.default_rng(0)
    async with rig(route=ROUTE) as on:
        adopting = Adopting(rulings, on.on.routes)
        adopting.start()
        await send(on, random)
        found = tune(
            "support", records(on.traces), Wish(max_risk=0.1), label=None, window_tokens=24
        )
        assert found.promise is not None
        rulings.apply(
            "support", Ruling(found.promise.threshold), who="ann", why="a test", now_s=0.0
        )
        later_ns = rulings.path.stat().st_mtime_ns + 1_000_000_000
        os.utime(rulings.path, ns=(later_ns, later_ns))  # file systems' clocks are coarse
        adopting.look()
        await send(on, random)

        before, after = records(on.traces)[:REQUESTS], records(on.traces)[REQUESTS:]
        served = [each for each in after if each[0].served_by is ServedBy.STUDENT]
        risks = [
            replay(gather(each, "exact", lambda exchange: exchange.confidence), 0.0).risk
            for each in (before, served)
        ]

        assert {exchange.threshold for exchange, _ in after} == {found.promise.threshold}
        assert REQUESTS / 4 < len(served) < REQUESTS
        assert risks[0] is not None
        assert risks[1] is not None
        assert risks[0].estimate > 0.1
        assert risks[1].estimate <= 0.1
