"""Deferral curves as one SVG: share answered as the teacher would, over the share deferred."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from router.deferral import Bools, Floats

_WIDTH, _HEIGHT, _MARGIN = 720, 440, 56
_KEY_PX = 18
_COLOURS = ("#4a78b8", "#c2703d", "#2a7a3a", "#8a5fb0", "#b03030", "#777777", "#222222")
_STYLE = """<style>
.paper{fill:#fff} text{font:12px sans-serif;fill:#222} .grid{stroke:#ddd} polyline{fill:none}
@media (prefers-color-scheme:dark){.paper{fill:#e8e8e8}}
</style>"""


def curve(scores: Floats, agrees: Bools) -> Floats:
    """Agreement of the cascade after 0, 1, … n deferrals, the lowest score first."""
    wrong = ~agrees[np.argsort(scores, kind="stable")]
    left = wrong.sum() - np.concatenate([[0], np.cumsum(wrong)])
    return np.asarray(1.0 - left / len(agrees))


def curves(lines: Sequence[tuple[str, Floats]], title: str) -> str:
    """Each is a `curve`; all of the same requests."""
    floor = float(np.floor(20 * min(each.min() for _, each in lines)) / 20)

    def x(share: float) -> float:
        return _MARGIN + share * (_WIDTH - 2 * _MARGIN)

    def y(agreement: float) -> float:
        return _HEIGHT - _MARGIN - (agreement - floor) / (1 - floor) * (_HEIGHT - 2 * _MARGIN)

    marks = [_text(_MARGIN, 28, title, "start")]
    for step in range(6):
        share, level = step / 5, floor + step / 5 * (1 - floor)
        marks.append(_text(x(share), _HEIGHT - _MARGIN + 20, f"{share:.0%}", "middle"))
        marks.append(_text(_MARGIN - 8, y(level) + 4, f"{level:.0%}", "end"))
        ends = f'x1="{x(0)}" x2="{x(1)}" y1="{y(level):.1f}" y2="{y(level):.1f}"'
        marks.append(f'<line class="grid" {ends}/>')
    marks.append(_text(x(0.5), _HEIGHT - 14, "share deferred to the teacher", "middle"))
    for place, ((name, line), colour) in enumerate(zip(lines, _COLOURS, strict=False)):
        shares = np.linspace(0.0, 1.0, len(line))
        points = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(shares, line, strict=True))
        marks.append(f'<polyline stroke="{colour}" stroke-width="2" points="{points}"/>')
        at = y(floor) - _KEY_PX * (len(lines) - place) + 4
        marks.append(f'<rect x="{x(0.56)}" y="{at - 6}" width="18" height="3" fill="{colour}"/>')
        marks.append(_text(x(0.56) + 24, at, name, "start"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
    paper = f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", _STYLE, paper, *marks, "</svg>\n"])


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
