"""Pictures of the boards, drawn from what a real Prometheus has."""

import asyncio
import math
import struct
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.clock import SystemClock
from grafana.board import Query, Unit
from grafana.history import History, NoHistory, Span
from grafana.picture import Mark, spelled
from grafana.render import main, render
from grafana.write import BOARDS
from tests.eyes.pages import every_series, growing, pages
from tests.eyes.prometheus import PROGRAM, scraping

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
ENGINES = (GOLDEN / "vllm-0.32" / "metrics.txt", GOLDEN / "llamacpp" / "metrics.txt")
PNG = b"\x89PNG\r\n\x1a\n"


def size(path: Path) -> tuple[int, int]:
    """Of a PNG, in pixels."""
    start = path.read_bytes()[:24]
    assert start.startswith(PNG)
    width, height = struct.unpack(">II", start[16:])
    return width, height


@pytest.mark.skipif(PROGRAM is None, reason="no prometheus here (Debian: its package)")
async def test_every_board_is_drawn_with_data_in_every_panel(tmp_path: Path) -> None:
    with pages(
        *map(growing, (every_series(), *(each.read_bytes() for each in ENGINES)))
    ) as targets:
        async with scraping({"tutelage": targets}, tmp_path) as seen:
            await seen.until("min(count_over_time(up[1m])) > 5")
            now_s = SystemClock().unix_s()
            span = Span(now_s - 30, now_s, 1.0)
            empty = {}
            with httpx.Client(base_url=seen.http.base_url, timeout=60, trust_env=False) as http:
                for board in BOARDS:
                    path, marks = tmp_path / f"{board.uid}.png", [Mark(now_s - 5, "a mark")]
                    draw = partial(render, History(http, span), board, path, marks=marks)
                    empty[board.uid] = await asyncio.to_thread(draw)
            url = str(seen.http.base_url)
            asked = ["--prometheus", url, "--out", str(tmp_path / "new"), "--scrape-s", "1"]
            only = ["--board", "tutelage-routing", "--minutes", "0.5"]
            assert await asyncio.to_thread(main, [*asked, *only]) == 0

    assert empty == {board.uid: 0 for board in BOARDS}
    for board in BOARDS:
        width, height = size(tmp_path / f"{board.uid}.png")
        assert width == 1120
        assert height > 200 * len(board.rows)
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["tutelage-routing.png"]


def answers(body: str, status: int = 200) -> httpx.Client:
    """A Prometheus that always says this."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, text=body))
    return httpx.Client(base_url="http://prometheus", transport=transport)


def test_a_time_at_which_prometheus_has_nothing_is_a_gap_and_not_a_zero() -> None:
    series = '{"metric": {"route": "a"}, "values": [[100, "1"], [102, "3"]]}'
    body = f'{{"status": "success", "data": {{"resultType": "matrix", "result": [{series}]}}}}'
    history = History(answers(body), Span(100, 103, 1))
    (line,) = history.lines(Query("x", "{{route}}: {{gone}}"))

    assert line.legend == "a: "
    assert [str(each) for each in line.values] == ["1.0", "nan", "3.0", "nan"]
    assert line.last == 3.0


def test_a_refusal_names_the_query_and_the_reason() -> None:
    history = History(answers('{"status": "error", "error": "no such thing"}', 400), Span(0, 1, 1))

    with pytest.raises(NoHistory, match=r"refuses rate\(x\[4000ms\]\): no such thing"):
        history.lines(Query("rate(x[$__rate_interval])", "x"))


def test_a_wrong_url_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--prometheus", "http://127.0.0.1:9", "--out", str(tmp_path)]) == 2
    assert "is no Prometheus that answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.1234, Unit.SHARE, "12.3 %"),
        (1.5, Unit.SECONDS, "1.5 s"),
        (0.034, Unit.SECONDS, "34 ms"),
        (0.000034, Unit.SECONDS, "34 us"),
        (0.0, Unit.SECONDS, "0 s"),
        (12345.6, Unit.NUMBER, "12,346"),
        (3.14159, Unit.PER_S, "3.14/s"),
        (0.5, Unit.USD, "$0.5"),
        (3600.0, Unit.USD, "$3,600.00"),
        (math.nan, Unit.SHARE, "-"),
    ],
)
def test_a_value_is_spelled_as_a_reader_says_it(value: float, unit: Unit, said: str) -> None:
    assert spelled(value, unit) == said
