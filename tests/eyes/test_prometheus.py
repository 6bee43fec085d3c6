"""Every expression of every panel and rule, asked of a real Prometheus under mixed traffic."""

import math
import subprocess
from pathlib import Path

import pytest

from grafana.write import BOARDS
from serving.scripts import Behaviour, Say, Status
from tests.eyes.pages import every_series, pages
from tests.eyes.prometheus import PROGRAM, PROMTOOL, Prometheus, scraping, until
from tests.journeys.rig import UNSURE, Rig, rig

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(PROGRAM is None, reason="no prometheus here (Debian: its package)"),
]

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
RULES = ROOT / "grafana" / "rules.yml"
EXPRESSIONS = 52


def expressions() -> list[str]:
    """Of all panels; Grafana's variables as Grafana fills them in."""
    return [
        query.expr.replace("$route", ".*").replace("$__rate_interval", "1m")
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
    ]


async def mixed_traffic(on: Rig, seen: Prometheus) -> None:
    """Until a rate can be had of it: whole and streamed, served by either, failed, refused."""
    turns: list[Behaviour] = [Say("4"), Say("?", logprob=UNSURE), Status(500)]
    on.student.script(*turns * 100)

    async def counted() -> bool:
        await on.ask()
        await on.events()
        await on.ask("support:teacher")
        await on.ask("nobody")
        rate = 'sum(rate(tutelage_requests_total{job="tutelage",status="404"}[1m])) > 0'
        return bool(await seen.query(rate))

    await until(counted)


async def test_every_panel_has_data_and_the_figures_are_those_of_the_traffic(
    tmp_path: Path,
) -> None:
    engines = (GOLDEN / "vllm-0.32" / "metrics.txt", GOLDEN / "llamacpp" / "metrics.txt")
    with pages(every_series(), *(path.read_bytes() for path in engines)) as (whole, *others):
        async with rig(route={"shadow": {"rate": 1.0}}) as on:
            gateway = on.url.removeprefix("http://")
            jobs = {"tutelage": [gateway], "whole": [whole], "engines": others}
            async with scraping(jobs, tmp_path) as seen:
                await mixed_traffic(on, seen)
                for job in jobs:
                    await seen.until(f'count_over_time(up{{job="{job}"}}[1m]) > 2')
                asked = expressions()
                empty = [expr for expr in asked if not await seen.query(expr)]
                by_status = await seen.query(
                    'sum by (status) (rate(tutelage_requests_total{job="tutelage"}[1m]))'
                )
                (overhead,) = await seen.query(
                    'max(rate(tutelage_request_seconds_count{job="tutelage"}[1m]))'
                )

    assert empty == []
    assert len(asked) == EXPRESSIONS
    assert {sample["metric"]["status"] for sample in by_status} >= {"200", "404"}
    assert all(float(sample["value"][1]) > 0 for sample in by_status)
    assert not math.isnan(float(overhead["value"][1]))


@pytest.mark.parametrize("command", ["check rules rules.yml", "test rules rules_test.yml"])
def test_the_rules_are_good_and_fire_for_their_reasons(command: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *command.split()], cwd=RULES.parent, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


async def test_every_rule_is_one_that_prometheus_evaluates(tmp_path: Path) -> None:
    with pages(every_series()) as (whole,):
        async with scraping({"tutelage": [whole]}, tmp_path, rules=RULES) as seen:
            await seen.until('up{job="tutelage"} == 1')
            groups = (await seen.http.get("/api/v1/rules")).json()["data"]["groups"]

    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 18
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []
