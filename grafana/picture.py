"""A board as a picture, where no Grafana is: drawn by matplotlib from what Prometheus has."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from grafana.board import Board, Limits, Look, Panel, Row, Unit
from grafana.history import Line, Span

_Axes = Any
"""matplotlib's."""
Lines = Mapping[Panel, Sequence[Line]]

_COLUMNS: Final = 24
_WIDTH_IN: Final = 14.0
_TITLE_IN: Final = 0.35
_FIGURE_IN: Final = 1.5
_LINES_IN: Final = 2.7
_DPI: Final = 80
_LEGENDS: Final = 8
"""More would push the lines out of their panel."""
_TIME_TICKS: Final = 5
_GOOD, _WARN, _BAD = "#2e7d32", "#ef6c00", "#c62828"
_HEADROOM: Final = 1.12


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time, drawn through every panel."""

    at_s: float
    text: str
    colour: str = "#555555"


def draw(board: Board, lines: Lines, span: Span, path: Path, *, marks: Sequence[Mark] = ()) -> None:
    """The whole board, as PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs

    mpl.use("Agg")
    from matplotlib.figure import Figure  # noqa: PLC0415

    heights = [_TITLE_IN + sum(map(_height, _ranks(row))) for row in board.rows]
    figure = Figure(figsize=(_WIDTH_IN, sum(heights) + 2 * _TITLE_IN), layout="constrained")
    until = datetime.fromtimestamp(span.end_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    figure.suptitle(f"{board.title}   (until {until})", fontsize=13, fontweight="bold")
    if marks:
        told = ";   ".join(f"{n}: {mark.text}" for n, mark in enumerate(marks, 1))
        figure.supxlabel(told, fontsize=9)
    shelves = figure.subfigures(len(board.rows), 1, height_ratios=heights, squeeze=False)
    for row, (shelf,) in zip(board.rows, shelves, strict=True):
        shelf.suptitle(row.title, x=0.01, ha="left", fontsize=11, color="#444444")
        ranks = list(_ranks(row))
        grid = shelf.add_gridspec(len(ranks), _COLUMNS, height_ratios=list(map(_height, ranks)))
        for number, rank in enumerate(ranks):
            column = 0
            for panel in rank:
                axes = shelf.add_subplot(grid[number, column : column + panel.width])
                column += panel.width
                _panel(axes, panel, lines[panel], span, marks)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})


def is_empty(lines: Sequence[Line]) -> bool:
    """Whether there is nothing to draw."""
    return all(math.isnan(line.last) for line in lines)


def _ranks(row: Row) -> Iterator[list[Panel]]:
    """Its panels as they come to lie side by side."""
    rank: list[Panel] = []
    for panel in row.panels:
        if sum(each.width for each in rank) + panel.width > _COLUMNS:
            yield rank
            rank = []
        rank.append(panel)
    yield rank


def _height(rank: Sequence[Panel]) -> float:
    return max(_FIGURE_IN if panel.look is Look.FIGURE else _LINES_IN for panel in rank)


def _panel(
    axes: _Axes,
    panel: Panel,
    lines: Sequence[Line],
    span: Span,
    marks: Sequence[Mark],
) -> None:
    axes.set_title(panel.title, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.set_xlim(span.start_s, span.end_s)
    if is_empty(lines):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="#999999")
        axes.set(xticks=[], yticks=[])
        return
    if panel.look is Look.FIGURE:
        _figure(axes, panel, lines[0], span)
        return
    times, shown = span.times_s, lines[:_LEGENDS]
    labels = [f"{line.legend}  {spelled(line.last, panel.unit)}" for line in shown]
    if panel.look is Look.STACKED:
        filled = [[0.0 if math.isnan(each) else each for each in line.values] for line in shown]
        axes.stackplot(times, filled, labels=labels, alpha=0.65, linewidth=0)
    else:
        for line, label in zip(shown, labels, strict=True):
            axes.plot(times, line.values, label=label, linewidth=1.3)
    _scale(axes, panel)
    for number, mark in enumerate(marks, 1):
        axes.axvline(mark.at_s, color=mark.colour, linestyle=":", linewidth=1.2)
        axes.annotate(
            str(number), (mark.at_s, 1), xycoords=("data", "axes fraction"), fontsize=7,
            color=mark.colour, ha="center", va="bottom",
        )  # fmt: skip
    every = (span.end_s - span.start_s) / (_TIME_TICKS - 1)
    ticks = [span.start_s + number * every for number in range(_TIME_TICKS)]
    axes.set_xticks(
        ticks, [datetime.fromtimestamp(each, UTC).strftime("%H:%M:%S") for each in ticks]
    )
    axes.grid(alpha=0.25)
    more = f"and {len(lines) - _LEGENDS} more" if len(lines) > _LEGENDS else None
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=7, frameon=False,
        title=more, title_fontsize=7,
    )  # fmt: skip


def _scale(axes: _Axes, panel: Panel) -> None:
    """From 0, shares to 1, and where the limits lie."""
    _, top = axes.get_ylim()
    axes.set_ylim(0, 1.02 if panel.unit is Unit.SHARE else max(top, 1e-9))
    _, top = axes.get_ylim()
    if panel.limits is not None:
        for value, colour in ((panel.limits.warn, _WARN), (panel.limits.bad, _BAD)):
            if value <= top:
                axes.axhline(value, color=colour, linestyle="--", linewidth=0.8)
    axes.yaxis.set_major_formatter(_formatter(panel.unit))


def _formatter(unit: Unit) -> Callable[[float, int], str]:
    return lambda value, _: spelled(value, unit)


def _figure(axes: _Axes, panel: Panel, line: Line, span: Span) -> None:
    colour = _colour(line.last, panel.limits)
    axes.set_axis_off()
    axes.set(xticks=[], yticks=[])
    axes.fill_between(span.times_s, line.values, alpha=0.15, color=colour, linewidth=0)
    highest = max(each for each in line.values if not math.isnan(each))
    axes.set_ylim(0, max(highest * _HEADROOM, 1e-9))
    axes.text(
        0.5, 0.42, spelled(line.last, panel.unit), transform=axes.transAxes,
        ha="center", va="center", fontsize=19, fontweight="bold", color=colour,
    )  # fmt: skip


def _colour(value: float, limits: Limits | None) -> str:
    if limits is None:
        return "#1f4e79"
    sign = 1 if limits.bad >= limits.warn else -1
    if sign * value >= sign * limits.bad:
        return _BAD
    return _WARN if sign * value >= sign * limits.warn else _GOOD


def spelled(value: float, unit: Unit) -> str:
    """As a reader says it: 12.5 %, 340 ms, 3.2/s."""
    if math.isnan(value):
        return "-"
    match unit:
        case Unit.SHARE:
            return f"{100 * value:.3g} %"
        case Unit.SECONDS:
            return _seconds(value)
        case Unit.PER_S:
            return f"{value:.3g}/s"
        case Unit.USD:
            return f"${value:,.2f}" if abs(value) >= 1 else f"${value:.3g}"
        case Unit.NUMBER:
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - digits


def _seconds(value: float) -> str:
    for scale, name in ((1.0, "s"), (1e-3, "ms")):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value / 1e-6:.3g} us" if value else "0 s"
