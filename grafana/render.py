"""Boards to PNG, from a Prometheus that runs: `python -m grafana.render --out FOLDER`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from gateway.clock import SystemClock
from grafana.board import Board
from grafana.history import History, NoHistory, Span
from grafana.picture import Mark, draw, is_empty
from grafana.write import BOARDS


def render(history: History, board: Board, path: Path, *, marks: Sequence[Mark] = ()) -> int:
    """How many panels have no data. Raises NoHistory."""
    lines = {
        panel: [line for query in panel.queries for line in history.lines(query)]
        for panel in board.panels
    }
    draw(board, lines, history.span, path, marks=marks)
    return sum(map(is_empty, lines.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """2 when Prometheus cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m grafana.render", description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=60, help="until now; 60")
    parser.add_argument("--scrape-s", type=float, default=15, help="between two scrapes; 15")
    parser.add_argument("--route", default=".*", metavar="REGEX")
    parser.add_argument(
        "--board", action="append", choices=[board.uid for board in BOARDS], help="all of them"
    )
    asked = parser.parse_args(arguments)
    now_s = SystemClock().unix_s()
    span = Span(now_s - 60 * asked.minutes, now_s, asked.scrape_s)
    asked.out.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=asked.prometheus, timeout=60, trust_env=False) as http:
        history = History(http, span, route=asked.route)
        for board in BOARDS:
            if asked.board and board.uid not in asked.board:
                continue
            path = asked.out / f"{board.uid}.png"
            try:
                empty = render(history, board, path)
            except NoHistory as error:
                sys.stderr.write(f"error: {error}\n")
                return 2
            sys.stderr.write(f"{path}: {len(board.panels) - empty} panels, {empty} without data\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
