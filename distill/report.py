"""A round as one HTML page, for a sceptic: what went in, what was removed, what came of it, why."""

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from distill.evaluation import Curve, Figures, read_figures
from distill.exam import Compared
from distill.funnel import Rule, read_funnel
from distill.handover import DECISION, read_decision
from distill.loop import STEPS, read_outcome
from distill.rows import Row, read_rows
from distill.step import read_manifest
from router.interval import Interval

PAGE = "report.html"

_STYLE = """
body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.6rem 0}
td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:left}
td.n{font-variant-numeric:tabular-nums}.yes{color:#176b2c}.no{color:#a11}figure{margin:0}
"""
_WIDE, _HIGH, _EDGE = 460, 300, 46


def write_report(route: str, run: Path) -> Path:
    """Of a round that is done, or as far as it came. Raises FileNotFoundError without one."""
    if not run.exists():
        raise FileNotFoundError(f"{run}: no round has run there")
    parts = [_outcome(run), _figures(run), _training(run), _funnels(run), _data_card(route, run)]
    parts.append(_lineage(run))
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{_safe(route)}: a round</title>"
        f"<style>{_STYLE}</style><h1>{_safe(route)}: the next student</h1>{''.join(parts)}</html>"
    )
    path = run / PAGE
    path.write_text(page, encoding="utf-8")
    return path


def _outcome(run: Path) -> str:
    outcome = read_outcome(run)
    if outcome is None:
        return "<p>The round has not ended."
    if outcome.gate is not None:
        told = f"<b class=no>Refused</b> at {outcome.step}, gate <code>{outcome.gate}</code>"
    elif outcome.promoted:
        told = "<b class=yes>Promoted.</b> What it is surely better at:"
    elif outcome.step != STEPS[-1]:
        told = f"Done up to {outcome.step}."
    else:
        told = "<b class=no>Not promoted.</b> The incumbent stays, because:"
    return f"<p>{told}{_list(outcome.reasons)}{_findings(run)}"


def _findings(run: Path) -> str:
    path = run / "promote" / DECISION
    if not path.exists():
        return ""
    rows = [
        (
            "needed" if each.needed else "one will do",
            "passed" if each.passed else "not passed",
            each.why,
        )
        for each in read_decision(path).findings
    ]
    return f"<h2>Tests behind the decision</h2>{_table(('', '', 'test'), rows)}"


def _figures(run: Path) -> str:
    path = run / "evaluate" / "figures.json"
    if not path.exists():
        return ""
    figures = read_figures(path)
    rows = [_compared(name, each) for name, each in figures.compared.items()]
    head = ("figure", "incumbent", "candidate", "difference", "p (McNemar)")
    return (
        f"<h2>The exam</h2><p>{figures.texts} texts that nobody trained on, {figures.checked} with "
        f"labels by people. Teacher's accuracy there: {_interval(figures.teacher)}. Fidelity, "
        "AUROC and calibration error are about agreement with the teacher; coverage is the largest "
        f"share that could be served with at most {figures.max_risk:.0%} unlike the teacher's. "
        "Brackets are 95 %: Wilson for shares, paired bootstrap for the rest."
        f"{_table(head, rows, numbers=4)}{_sizes(figures)}{_threshold(figures)}"
        "<h2>Deferral curves</h2><p>Accuracy of the cascade, least confident requests first to the "
        f"teacher.{_plot(figures.before, figures.after)}"
    )


def _compared(name: str, of: Compared) -> tuple[str, ...]:
    gap = of.difference
    return (
        name.replace("_", " "),
        _interval(of.incumbent),
        _interval(of.candidate),
        f"{gap.estimate:+.3f} [{gap.lower:+.3f}, {gap.upper:+.3f}]",
        "" if of.p is None else f"{of.p:.3g}",
    )


def _sizes(figures: Figures) -> str:
    candidate, incumbent = figures.bytes
    return f"<p>Bytes served: candidate {candidate:,}, incumbent {incumbent:,}."


def _threshold(figures: Figures) -> str:
    if figures.threshold is None or figures.at_threshold is None:
        return f"<p>No threshold: none was safe on {figures.choosing} other texts."
    at = figures.at_threshold
    return (
        f"<p>Threshold {figures.threshold}, chosen on {figures.choosing} other texts. On the exam "
        f"the cascade then has accuracy {at.accuracy:.3f}, with {at.coverage:.0%} by the student."
    )


def _training(run: Path) -> str:
    path = run / "train" / "losses.json"
    if not path.exists():
        return ""
    told = json.loads(path.read_bytes())
    facts = [(name, f"{value}") for name, value in told.items() if not isinstance(value, dict)]
    losses = [float(value) for value in told.get("losses", {}).values()]
    plot = ""
    if len(losses) > 1:
        smooth = _smoothed(losses)
        steps = tuple(at / (len(smooth) - 1) for at in range(len(smooth)))
        plot = _svg(
            [("smoothed loss", "#14508c", steps, smooth)], "step (share of all)", "nats a row"
        )
    return f"<h2>Training</h2>{_table(('', ''), facts)}{plot}"


def _smoothed(values: Sequence[float]) -> tuple[float, ...]:
    found, mean = [], values[0]
    for value in values:
        mean = 0.9 * mean + 0.1 * value
        found.append(mean)
    return tuple(found)


def _funnels(run: Path) -> str:
    rows: list[tuple[str, ...]] = []
    for step in ("harvest", "curate", "label"):
        path = run / step / "funnel.json"
        if path.exists():
            rows += [(step, *_rule(rule)) for rule in read_funnel(path)]
    head = ("step", "rule", "rows", "removed", "share")
    return f"<h2>What was removed</h2>{_table(head, rows)}" if rows else ""


def _rule(rule: Rule) -> tuple[str, ...]:
    return rule.name, str(rule.rows), str(rule.removed), f"{rule.share:.1%}"


def _data_card(route: str, run: Path) -> str:
    path = run / "label" / "train.jsonl"
    if not path.exists():
        return ""
    rows = read_rows(path)
    counts = _counts(rows)
    old = "" if not rows else f"{min(r.ts for r in rows):.0f} to {max(r.ts for r in rows):.0f}"
    return (
        f"<h2>Data card</h2><p>{len(rows)} rows of route {_safe(route)}, unix time {old}. Labels "
        "are the teacher's answers, people's corrections before them. The exam's traces were set "
        "apart by a hash of their text before anything was harvested, its words were removed by "
        "8-gram, and the training steps cannot open it. Not in here: requests without content, "
        f"other tasks, other routes.{_table(('of', 'rows', 'stand for requests'), counts)}"
    )


def _counts(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(f"why: {row.why}", []).append(row)
        groups.setdefault(f"labelled by: {row.by}", []).append(row)
        groups.setdefault("soft targets" if row.odds else "hard targets", []).append(row)
    return [
        (name, str(len(mine)), f"{sum(row.weight for row in mine):.0f}")
        for name, mine in sorted(groups.items())
    ]


def _lineage(run: Path) -> str:
    rows = []
    for name in STEPS:
        manifest = read_manifest(run / name)
        if manifest is not None:
            made = ", ".join(f"{path} {sha[:12]}" for path, sha in manifest.outputs.items())
            rows.append((name, manifest.shape[:12], f"{manifest.seconds:.0f} s", made))
    return f"<h2>Lineage</h2>{_table(('step', 'shape', 'took', 'files'), rows)}" if rows else ""


def _plot(before: Curve, after: Curve) -> str:
    if not before.deferred:
        return "<p>Nobody knows the labels of these texts."
    lines = [
        ("incumbent", "#888", before.deferred, before.accuracy),
        ("candidate", "#14508c", after.deferred, after.accuracy),
    ]
    return _svg(lines, "share deferred to the teacher", "accuracy of the cascade")


def _svg(
    lines: Sequence[tuple[str, str, Sequence[float], Sequence[float]]], across: str, up: str
) -> str:
    """Lines over [0, 1]; the vertical axis spans what they span."""
    values = [value for _, _, _, ys in lines for value in ys]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    inner_wide, inner_high = _WIDE - 2 * _EDGE, _HIGH - 2 * _EDGE

    def point(x: float, y: float) -> str:
        return f"{_EDGE + x * inner_wide:.1f},{_HIGH - _EDGE - (y - low) / span * inner_high:.1f}"

    drawn = []
    for place, (name, colour, xs, ys) in enumerate(lines):
        told = " ".join(point(x, y) for x, y in zip(xs, ys, strict=True))
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{told}"/>')
        drawn.append(
            f'<text x="{_WIDE - _EDGE}" y="{_EDGE + 16 * place}" text-anchor="end" '
            f'fill="{colour}">{_safe(name)}</text>'
        )
    frame = f"M{_EDGE} {_EDGE}V{_HIGH - _EDGE}H{_WIDE - _EDGE}"
    return (
        f'<figure><svg width="{_WIDE}" height="{_HIGH}" role="img" font-size="12">'
        f'<path d="{frame}" fill="none" stroke="#222"/>{"".join(drawn)}'
        f'<text x="{_EDGE}" y="{_EDGE - 8}">{_safe(up)}, {low:.3f} to {high:.3f}</text>'
        f'<text x="{_EDGE}" y="{_HIGH - 14}">{_safe(across)}, 0 to 1</text>'
        "</svg></figure>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    kind = " class=n" if numbers else ""
    body = "".join("<tr>" + "".join(f"<td{kind}>{_safe(cell)}" for cell in row) for row in rows)
    return f"<table><tr>{''.join(f'<th>{_safe(name)}' for name in head)}{body}</table>"


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_safe(item)}' for item in items)}</ul>" if items else ""


def _interval(of: Interval | None) -> str:
    return "unknown" if of is None else f"{of.estimate:.3f} [{of.lower:.3f}, {of.upper:.3f}]"


def _safe(text: str) -> str:
    return html.escape(text)
