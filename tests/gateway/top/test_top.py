"""`tutelage top` of a running gateway: what it fetches, what it shows."""

import argparse
import sys

import httpx
import pytest
from textual.widgets import DataTable, Sparkline, Static

from gateway.top.commands import top
from gateway.top.look import Look, Unreachable, read
from gateway.top.picture import State, picture
from gateway.top.scrape import Scrape, metrics_url
from gateway.top.screen import TopScreen
from gateway.top.showing import show
from gateway.top.window import Window
from serving.scripts import Say
from tests.journeys.rig import UNSURE, rig

pytestmark = pytest.mark.anyio


class Clock:
    """Ten seconds pass between two looks."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 10.0
        return self.now_s


async def test_the_picture_is_of_what_happened_between_two_looks() -> None:
    async with rig() as on:
        await on.ask("support:teacher")  # before the first look
        await on.traces.exchange()
        scrape, window = Scrape(on.http, on.url, Clock()), Window(60.0)
        window.add(await scrape())
        on.student.script(Say("4"), Say("4"), Say("4"), Say("?", logprob=UNSURE))
        for _ in range(4):
            await on.ask()
        await on.ask("nobody")
        await on.traces.exchange(5)
        window.add(await scrape())

        seen = picture(window)

        assert (seen.seconds, seen.per_s, seen.refused_per_s) == (10.0, 0.5, 0.1)
        (route,) = seen.routes
        assert (route.route, route.per_s, route.coverage) == ("support", 0.4, 0.75)
        assert route.why == (("confident", 0.75), ("low_confidence", 0.25))
        assert route.failed == 0.0
        assert route.median_s is not None
        states = [(line.name, line.state, line.in_flight) for line in seen.upstreams]
        assert states == [("student", State.UP, 0), ("teacher", State.UP, 0)]
        assert all(line.written_per_s > 0 for line in seen.upstreams)


def test_our_own_time_is_the_sum_of_the_stages_means() -> None:
    stages = """\
tutelage_overhead_seconds_sum{{stage="parse"}} {parse}
tutelage_overhead_seconds_count{{stage="parse"}} {count}
tutelage_overhead_seconds_sum{{stage="gate"}} {gate}
tutelage_overhead_seconds_count{{stage="gate"}} {gated}
"""
    window = Window(60.0)
    window.add(read(stages.format(parse=1.0, count=100, gate=1.0, gated=10), 0.0))
    window.add(read(stages.format(parse=3.0, count=200, gate=1.5, gated=20), 1.0))

    assert picture(window).own_s == pytest.approx(0.02 + 0.05)


async def test_the_page_shows_routes_and_engines_and_follows_them() -> None:
    async with rig() as on:
        page = TopScreen(Scrape(on.http, on.url, Clock()), url=on.url, every_s=3600.0)
        async with page.run_test(size=(160, 40)) as pilot:
            await on.ask()
            await on.traces.exchange()
            await page.renew()
            await pilot.pause()

            routes = page.query_one("#routes", DataTable)
            assert [str(cell) for cell in routes.get_row_at(0)][:2] == ["support", "0.1"]
            upstreams = page.query_one("#upstreams", DataTable)
            rows = [[str(cell) for cell in upstreams.get_row_at(at)][:2] for at in (0, 1)]
            assert rows == [["student", "up"], ["teacher", "up"]]
            assert page.query_one(Sparkline).data == [0.0, 0.1]
            assert "0.1 req/s over 10 s" in str(page.query_one("#head", Static).content)


async def test_a_page_that_is_paused_stands_still_until_it_goes_on() -> None:
    async with rig() as on:
        page = TopScreen(Scrape(on.http, on.url, Clock()), url=on.url, every_s=3600.0)
        async with page.run_test(size=(160, 40)) as pilot:
            await pilot.press("space")
            await on.ask()
            await on.traces.exchange()
            await page.renew()
            assert page.query_one("#routes", DataTable).row_count == 0

            await pilot.press("space")
            await page.renew()
            assert page.query_one("#routes", DataTable).row_count == 1


async def test_the_window_is_ten_seconds_a_minute_or_five() -> None:
    looks = iter(
        read(f'tutelage_requests_total{{route="a",status="200"}} {count}\n', at_s)
        for at_s, count in ((0.0, 0), (50.0, 100), (60.0, 110))
    )

    async def look() -> Look:
        return next(looks)

    page = TopScreen(look, url="http://gateway", every_s=3600.0)
    async with page.run_test(size=(160, 40)) as pilot:
        heads = []
        await page.renew()
        await page.renew()
        for _ in range(3):
            heads.append(str(page.query_one("#head", Static).content).partition("·")[2].strip())
            await pilot.press("w")

    assert [head.partition("  ")[0] for head in heads] == [
        "1.8 req/s over 60 s",
        "1.8 req/s over 60 s",
        "1.0 req/s over 10 s",
    ]


async def test_a_gateway_that_goes_away_is_told_on_the_page_until_it_is_back() -> None:
    answers: list[Look | None] = [read("tutelage_in_flight 0\n", 0.0), None]

    async def look() -> Look:
        answer = answers.pop(0)
        if answer is None:
            raise Unreachable("connection refused")
        return answer

    page = TopScreen(look, url="http://gateway", every_s=3600.0)
    async with page.run_test(size=(160, 40)):
        trouble = page.query_one("#trouble", Static)
        assert not trouble.display
        await page.renew()
        assert trouble.display
        assert "http://gateway: connection refused; trying again" in str(trouble.content)
        answers.append(read("tutelage_in_flight 0\n", 1.0))
        await page.renew()
        assert not trouble.display


async def test_once_prints_the_tables_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    async with rig() as on:
        await on.ask()
        await on.traces.exchange()

        assert await show(f"{on.url}/v1", every_s=0.1, once=True) == 0

    out = capsys.readouterr().out
    assert "req/s over 0 s" in out
    assert "support" in out
    assert "teacher" in out


async def test_where_no_gateway_answers_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert await show("http://127.0.0.1:9", every_s=0.1, once=False) == 1

    assert "is a gateway running there? (tutelage up)" in capsys.readouterr().err


async def test_another_servers_page_is_not_taken_for_a_gateway() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404 if request.url.path == "/metrics" else 200)

    async with httpx.AsyncClient(transport=httpx.MockTransport(page)) as client:
        with pytest.raises(Unreachable, match="answered 404, not 200"):
            await Scrape(client, "http://gateway", Clock())()


async def test_without_textual_it_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "gateway.top.screen")
    monkeypatch.setitem(sys.modules, "textual.app", None)
    async with rig() as on:
        assert await show(on.url, every_s=0.1, once=False) == 2

    assert "pip install 'tutelage[console]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "metrics"),
    [
        ("http://gateway:8080", "http://gateway:8080/metrics"),
        ("http://gateway:8080/v1", "http://gateway:8080/metrics"),
        ("https://gateway/llm/v1/", "https://gateway/llm/metrics"),
        ("gateway:8080", "http://gateway:8080/metrics"),
        ("http://gateway/metrics", "http://gateway/metrics"),
    ],
)
def test_the_url_may_be_the_one_that_clients_have(given: str, metrics: str) -> None:
    assert metrics_url(given) == metrics


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "4000"])
def test_looks_come_at_a_sensible_pace(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    top(parser)

    with pytest.raises(SystemExit):
        parser.parse_args(["--every", seconds])

    assert "seconds from 0.1 to 3600" in capsys.readouterr().err
