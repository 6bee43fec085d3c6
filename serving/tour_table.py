"""The tour as one sees it: rows as they come, then the scoreboard.

A terminal gets a live table of the latest rows and the whole table at the end; a pipe or a
CI log gets one plain line a row.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from serving.scoreboard import Column, Share
from serving.tour import Asked

QUESTION_WIDTH = 46
_LINES_BESIDE_THE_TABLE = 8
_SERVED_BY_STYLE = {"student": "green", "teacher": "yellow"}
_SMALL_SAMPLE = 200


class TourTable:
    """Takes rows one by one."""

    def __init__(self, console: Console, *, size: int) -> None:
        self._console, self._size = console, size
        self._rows: list[Asked] = []
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While inside, the table is on the screen; on leaving it stays there, whole."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, transient=True, refresh_per_second=8) as self._live:
            yield
        self._live = None
        self._console.print(_table(self._rows, title=f"{len(self._rows)} held-out requests"))

    def add(self, asked: Asked) -> None:
        self._rows.append(asked)
        if self._live is None:
            self._console.print(_plain(len(self._rows), self._size, asked), soft_wrap=True)
            return
        fitting = max(3, self._console.height - _LINES_BESIDE_THE_TABLE)
        title = f"held-out request {len(self._rows)} of {self._size}"
        self._live.update(_table(self._rows[-fitting:], title=title))


def scoreboard(columns: Sequence[Column], coverage: Share) -> Table:
    """The closing summary; the caller prints what the figures do not say."""
    table = Table(title="student, teacher and cascade on the same questions", title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column.title, justify="right")
    table.add_row("accuracy on labels", *(f"{column.right.value:.0%}" for column in columns))
    table.add_row("  95 % interval", *(_interval(column.right) for column in columns))
    table.add_row("latency p50", *(f"{column.p50_s * 1000:.0f} ms" for column in columns))
    table.add_row("latency p95", *(f"{column.p95_s * 1000:.0f} ms" for column in columns))
    table.add_row(
        "cost per 1k requests", *(f"$ {column.usd_per_1k_requests:.4f}" for column in columns)
    )
    table.add_row("failed requests", *(str(column.failed) for column in columns))
    table.caption = (
        f"served by the student (coverage): {coverage.value:.0%}, 95 % interval "
        f"{_interval(coverage)}; costs at the example prices of the config"
    )
    table.caption_justify = "left"
    return table


def honesty(size: int) -> str | None:
    """What to say about a sample this small; None when it is not."""
    if size >= _SMALL_SAMPLE:
        return None
    return (
        f"{size} questions show how it works, not how good it is: the intervals are wide. "
        f"`--tour-size {_SMALL_SAMPLE}` asks more."
    )


def _interval(share: Share) -> str:
    low, high = share.interval
    return f"{low:.0%} to {high:.0%}"


def _table(rows: Sequence[Asked], *, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("question", max_width=QUESTION_WIDTH, no_wrap=True, overflow="ellipsis")
    for name in ("answer", "gold", "served by", "reason"):
        table.add_column(name, no_wrap=True)
    for name in ("confidence", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for asked in rows:
        table.add_row(
            escape(_cut(asked.question.text)),
            Text(_answer(asked), style="" if asked.right else "red"),
            str(asked.question.gold.sentiment),
            Text(asked.served_by, style=_SERVED_BY_STYLE.get(asked.served_by, "")),
            asked.reason,
            _confidence(asked),
            f"{asked.took_s * 1000:.0f}",
        )
    return table


def _plain(number: int, size: int, asked: Asked) -> str:
    return escape(
        f"{number:3d}/{size} {_answer(asked):<13} gold {asked.question.gold.sentiment:<8} "
        f"by {asked.served_by or '-':<7} {asked.reason or '-':<19} "
        f"conf {_confidence(asked):>4} {asked.took_s * 1000:5.0f} ms  {_cut(asked.question.text)}"
    )


def _answer(asked: Asked) -> str:
    if asked.problem is not None:
        return f"failed: {asked.problem}"
    if asked.answer is None:
        return f"unreadable: {asked.text[:20]!r}"
    return f"{asked.answer.sentiment} {asked.answer.intensity}"


def _confidence(asked: Asked) -> str:
    return "-" if asked.confidence is None else f"{asked.confidence:.2f}"


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= QUESTION_WIDTH else f"{flat[: QUESTION_WIDTH - 1]}…"
