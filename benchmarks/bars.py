"""Bars as SVG, written by hand: panels side by side, one row a server, on a logarithmic scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_ROW, _BAR, _LABELS, _PANEL, _NUMBERS, _TOP, _EDGE = 22, 14, 250, 170, 62, 58, 12
_OURS, _PEER, _INK, _PALE = "#1a7f6b", "#9aa5b1", "#1f2328", "#656d76"
_DECADES_BELOW = 0.15
"""How much of a decade the smallest value's bar is long."""


@dataclass(frozen=True, slots=True)
class Panel:
    """`values`: one a row, None where there is nothing to show. `better`: more, or less."""

    title: str
    better: str
    values: Sequence[float | None]


def chart(title: str, rows: Sequence[str], ours: Sequence[bool], panels: Sequence[Panel]) -> str:
    """`rows`: the names, `ours`: which of them to set off by colour."""
    width = _LABELS + len(panels) * (_PANEL + _NUMBERS) + _EDGE
    height = _TOP + len(rows) * _ROW + _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"',
        f' viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_text(_EDGE, _middle(at), name, _INK) for at, name in enumerate(rows)),
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, ours, left=_LABELS + number * (_PANEL + _NUMBERS))
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, ours: Sequence[bool], left: int) -> list[str]:
    parts = [
        _text(left, 22, panel.title, _INK, weight="600"),
        _text(left, 40, f"{panel.better}, logarithmic", _PALE),
    ]
    shown = [value for value in panel.values if value is not None and value > 0]
    for at, value in enumerate(panel.values):
        if value is None:
            parts.append(_text(left, _middle(at), "-", _PALE))
            continue
        length, top = _length(value, shown), _TOP + at * _ROW + (_ROW - _BAR) // 2
        colour = _OURS if ours[at] else _PEER
        parts += [
            f'<rect x="{left}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>',
            _text(left + length + 5, _middle(at), number(value), _INK),
        ]
    return parts


def _length(value: float, shown: Sequence[float]) -> float:
    """On a scale that starts a little below the smallest value; 0 for what is not above 0."""
    if value <= 0:
        return 0.0
    lowest, highest = math.log10(min(shown)) - _DECADES_BELOW, math.log10(max(shown))
    return _PANEL * (math.log10(value) - lowest) / (highest - lowest)


def number(value: float) -> str:
    """Three figures that count, with thousands set apart."""
    if value >= 100:  # noqa: PLR2004 - three figures before the point
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 3)}f}"


def _middle(row: int) -> float:
    return _TOP + row * _ROW + _ROW / 2 + 4


def _text(x: float, y: float, text: str, fill: str, weight: str = "400") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{fill}" font-weight="{weight}">{escape(text)}</text>'
