"""One worker looks at the traces for all, and tells what has changed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.app import open_services
from gateway.background import Background
from gateway.callers import Anyone
from gateway.config import Settings
from gateway.duties import make_watch
from gateway.metrics import Metrics
from gateway.rulings import Ruling, Rulings
from gateway.traces.following import MOST, Following
from gateway.traces.store import TraceStoreError
from gateway.watching import Watch
from router.drift_watch import taken_from
from router.evidence import Record
from router.trace import Exchange, Judgement
from tests.gateway.traces.stores import stored
from tests.journeys.rig import KeptTraces
from tests.router.recorded import traffic

pytestmark = pytest.mark.anyio


class Notes:
    """A duty that remembers what it was shown."""

    def __init__(self, since: Sequence[float | None] = ()) -> None:
        self._since = list(since)
        self.seen: list[str] = []
        self.pairs: list[tuple[str, str]] = []
        self.told = asyncio.Event()

    def begin(self) -> float | None:
        return self._since.pop(0) if self._since else None

    def forget(self) -> None:
        self.seen.clear()
        self.pairs.clear()

    def see(self, exchange: Exchange) -> None:
        self.seen.append(exchange.trace_id)

    def judged(self, exchange: Exchange, judgement: Judgement) -> None:
        self.pairs.append((exchange.trace_id, judgement.trace_id))

    def act(self) -> None:
        pass

    def tell(self) -> None:
        self.told.set()


def ids(records: Sequence[Record]) -> list[str]:
    return [exchange.trace_id for exchange, _ in records]


async def test_everything_is_shown_once_in_the_order_in_which_it_came(tmp_path: Path) -> None:
    records = traffic(MOST + 200)
    await stored(tmp_path / "t.db", records[:MOST])
    notes = Notes()
    watch = Watch(tmp_path / "t.db", tmp_path / "lock", [notes])
    await watch.step()
    await stored(tmp_path / "t.db", records[MOST:])
    await watch.step()
    await watch.step()

    assert notes.seen == ids(records)
    judged = [each.trace_id for _, judgements in records for each in judgements]
    assert notes.pairs == [(trace_id, trace_id) for trace_id in judged]


async def test_a_duty_that_begins_anew_sees_all_again_from_its_time_on(tmp_path: Path) -> None:
    records = traffic(300)
    await stored(tmp_path / "t.db", records)
    notes = Notes([0.0, None, records[200][0].ts])
    watch = Watch(tmp_path / "t.db", tmp_path / "lock", [notes])
    await watch.step()
    await watch.step()
    assert notes.seen == ids(records)
    await watch.step()

    assert notes.seen == ids(records[200:])


async def test_who_is_far_behind_reads_some_and_is_soon_up_to_date(tmp_path: Path) -> None:
    await stored(tmp_path / "t.db", [(exchange, ()) for exchange, _ in traffic(3000)])
    following = Following(tmp_path / "t.db", most=10)
    seen = []
    while found := following.look().exchanges:
        seen.append(len(found))

    assert len(seen) <= 180
    assert 600 < sum(seen) < 3000


async def test_one_worker_looks_until_it_ends_and_then_another(tmp_path: Path) -> None:
    await stored(tmp_path / "t.db", traffic(10))
    first, second = Notes(), Notes()
    watches = [Watch(tmp_path / "t.db", tmp_path / "lock", [each]) for each in (first, second)]
    background = Background()
    for _ in range(3):
        for watch in watches:
            watch.look(background)
    await first.told.wait()
    assert not second.told.is_set()
    await background.drain(30.0)
    watches[0].close()
    watches[1].look(background)
    await second.told.wait()
    await background.drain(30.0)
    watches[1].close()

    assert len(first.seen) == len(second.seen) == 10


async def test_a_store_that_cannot_be_read_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes()
    watch = Watch(tmp_path / "t.db", tmp_path / "lock", [notes])
    background = Background()
    for _ in range(2):
        watch.look(background)
        await background.drain(30.0)
    assert caplog.text.count("what the traces say is not looked at") == 1
    with pytest.raises(TraceStoreError, match="no trace store"):
        await watch.step()
    await stored(tmp_path / "t.db", traffic(1))
    watch.look(background)
    await notes.told.wait()
    await background.drain(30.0)
    watch.close()


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Watch, Metrics]]:
    """The watch of a gateway whose route shadows half of its requests."""
    settings = Settings.model_validate(
        {
            "upstreams": {"small": {"base_url": "http://127.0.0.1:1/v1", "model": "small"}},
            "routes": {
                "support": {
                    "student": "small",
                    "teacher": "small",
                    "compare": ["label"],
                    "shadow": {"rate": 0.5},
                    "drift": {"false_alarm_every": 20_000},
                }
            },
        }
    )
    traces, metrics = KeptTraces(), Metrics()
    async with open_services(
        settings, traces, callers=Anyone(), metrics=metrics, secrets={}, find_trace=traces.find
    ) as on:
        yield make_watch(on, settings, store=folder / "t.db", state=folder / "state.db"), metrics


def evidence(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render().decode().splitlines()
    return {
        line.split('signal="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("tutelage_drift_evidence{")
    }


async def test_traffic_is_held_to_what_the_applied_threshold_was_found_on(tmp_path: Path) -> None:
    """The reference knows a student that is surer than the one whose traffic comes."""
    records = traffic(2400, seed=1)
    tuned_on, now_s = records[:2000], records[2000][0].ts
    rulings = Rulings(tmp_path / "state.db")
    rulings.make()
    surer = [
        (replace(exchange, confidence=1.0 - (1.0 - (exchange.confidence or 0.0)) / 4), judged)
        for exchange, judged in tuned_on
    ]
    reference = taken_from(surer, comparator="label", rarest=0.5, now_s=now_s)
    rulings.apply("support", Ruling(0.8, None, reference), who="ann", why="", now_s=now_s)
    await stored(tmp_path / "t.db", records)
    async with watched(tmp_path) as (watch, metrics):
        await watch.step()

    found = evidence(metrics)
    assert found["confidence"] >= 1.0
    assert found["agreement"] < 1.0
    assert found["deciding_tokens"] < 1.0


async def test_without_one_to_the_releases_first_requests(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    rulings.make()
    await stored(tmp_path / "t.db", traffic(1400))
    doubtful = [
        (replace(exchange, confidence=(exchange.confidence or 0.0) / 2), judged)
        for exchange, judged in traffic(300, seed=1)
    ]
    async with watched(tmp_path) as (watch, metrics):
        for _ in range(4):
            await watch.step()
        before = evidence(metrics)
        await stored(tmp_path / "t.db", doubtful)
        await watch.step()

    assert set(before) == {"confidence", "deciding_tokens", "agreement"}
    assert max(before.values()) < 1.0
    assert evidence(metrics)["confidence"] >= 1.0
