"""Risk by coverage as SVG: the curve with its band, the wish, the choice, and what is now."""

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from router.replay import Replayed
from router.tuning import Tuned
from router.windows import Windows

_WIDTH, _HEIGHT, _MARGIN = 640, 400, 56
_LEAST_TOP = 0.02
Scale = Callable[[float], float]


def risk_by_coverage(found: Tuned) -> str:
    """One self-contained file; it follows the reader's light or dark scheme."""
    points = [each for each in found.curve if each.risk is not None]
    wished = found.wish.max_risk or 0.0
    top = max([_LEAST_TOP, 1.5 * wished, *(each.risk.upper for each in points if each.risk)])

    def x(coverage: float) -> float:
        return _MARGIN + coverage * (_WIDTH - 2 * _MARGIN)

    def y(risk: float) -> float:
        return _HEIGHT - _MARGIN - risk / top * (_HEIGHT - 2 * _MARGIN)

    def place(coverage: float, risk: float) -> str:
        return f"{x(coverage):.1f},{y(risk):.1f}"

    upper = [place(p.coverage.estimate, p.risk.upper) for p in points if p.risk]
    lower = [place(p.coverage.estimate, p.risk.lower) for p in points if p.risk]
    middle = [place(p.coverage.estimate, p.risk.estimate) for p in points if p.risk]
    marks = [
        f'<polygon class="band" points="{" ".join([*upper, *reversed(lower)])}"/>',
        f'<polyline class="curve" points="{" ".join(middle)}"/>',
    ]
    if found.wish.max_risk is not None:
        ends = f'x1="{x(0)}" x2="{x(1)}" y1="{y(wished):.1f}" y2="{y(wished):.1f}"'
        marks.append(f'<line class="wish" {ends}/>')
        marks.append(_text(x(1), y(wished) - 6, f"at most {wished:.1%}", "end"))
    for name, point in (("now", found.now), ("chosen", found.chosen)):
        if point is not None and point.risk is not None:
            at_x, at_y = x(point.coverage.estimate), y(point.risk.estimate)
            marks.append(f'<circle class="{name}" cx="{at_x:.1f}" cy="{at_y:.1f}" r="5"/>')
            marks.append(_text(at_x, at_y - 10, f"{name}: {point.threshold:.3f}", "middle"))
    for kind, name, point in _others(found):
        if point.risk is not None:
            at_x, at_y = x(point.coverage.estimate), y(min(top, point.risk.estimate))
            marks.append(f'<circle class="{kind}" cx="{at_x:.1f}" cy="{at_y:.1f}" r="3"/>')
            marks.append(_text(at_x + 6, at_y + 4, name, "start"))
    return _page(found, [*_axes(top, x, y), *marks])


def _others(found: Tuned) -> list[tuple[str, str, Replayed]]:
    """Slices at the threshold of the report; windows, each at its own."""
    slices = found.slices.slices if found.slices is not None else ()
    windows = found.windows.tried if isinstance(found.windows, Windows) else ()
    return [
        *(("slice", each.name, each.at) for each in slices),
        *(("window", f"{each.tokens} tokens", each.at) for each in windows if each.at is not None),
    ]


def _axes(top: float, x: Scale, y: Scale) -> Sequence[str]:
    lines = []
    for step in range(6):
        share = step / 5
        lines.append(_text(x(share), _HEIGHT - _MARGIN + 20, f"{share:.0%}", "middle"))
        lines.append(_text(_MARGIN - 8, y(share * top) + 4, f"{share * top:.1%}", "end"))
        ends = f'x1="{x(0)}" x2="{x(1)}" y1="{y(share * top):.1f}" y2="{y(share * top):.1f}"'
        lines.append(f'<line class="grid" {ends}/>')
    lines.append(_text(x(0.5), _HEIGHT - 12, "share that the student serves", "middle"))
    return lines


def _page(found: Tuned, marks: Sequence[str]) -> str:
    title = f"{found.route}: share of what the student serves that differs from the teacher"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
            f"<title>{escape(title)}</title>",
            _STYLE,
            f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
            _text(_MARGIN, 28, title, "start"),
            *marks,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


_STYLE = """<style>
.paper{fill:#fff} text{font:12px sans-serif;fill:#222} .grid{stroke:#ddd}
.band{fill:#4a78b8;opacity:.2} .curve{fill:none;stroke:#4a78b8;stroke-width:2}
.wish{stroke:#b03030;stroke-dasharray:5 4}
.slice{fill:#8a5ab0} .window{fill:none;stroke:#b07a2a}
.chosen{fill:#2a7a3a} .now{fill:#888}
@media (prefers-color-scheme:dark){.paper{fill:#181a1c} text{fill:#ddd} .grid{stroke:#333}}
</style>"""
