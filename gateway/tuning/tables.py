"""How a tuned route looks in a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from router.interval import Interval
from router.replay import Replayed
from router.slices import Slices, Standing
from router.thresholds import Promise
from router.tuning import Tuned
from router.windows import Windows


def findings(found: Tuned) -> RenderableType:
    """The sentence first, then why, then the curve."""
    parts: list[RenderableType] = [Text.from_markup(sentence(found)), Text(_basis(found))]
    if found.calibration is not None:
        scores = found.calibration.scores
        parts.append(
            Text(
                f"confidence: {found.calibration.method} on {found.calibration.pairs} pairs, "
                f"out of fold: log loss {scores.log_loss:.3f}, Brier {scores.brier:.3f}, "
                f"calibration error {scores.ece:.3f}"
            )
        )
    if found.least_deferral:
        parts.append(
            Text(
                f"any rule must defer {found.least_deferral:.0%} at least, by how often it is wrong"
            )
        )
    parts += [Text(f"doubt: {each}", "yellow") for each in found.doubts]
    table = _table()
    for name, point in (("now", found.now), ("chosen", found.chosen)):
        if point is not None:
            _row(table, name, point, "bold")
    for point in found.curve:
        _row(table, "", point, "")
    parts.append(table)
    if found.slices is not None:
        parts += ["", _slices(found.slices)]
    if isinstance(found.windows, Windows):
        parts += ["", _windows(found.windows)]
    elif found.windows is not None:
        parts.append(Text(f"windows are not compared: {found.windows}", "dim"))
    return Group(*parts)


def _slices(found: Slices) -> RenderableType:
    table = _table(escape(found.by))
    for name in ("requests", "promise", "promised from"):
        table.add_column(name, justify="right")
    for each in found.slices:
        own = "never" if each.threshold is None else f"{each.threshold:.4f}"
        style = _STYLES[each.standing]
        _row(table, escape(each.name), each.at, style, f"{each.requests:,}", each.standing, own)
    return table


def _windows(found: Windows) -> RenderableType:
    table = _table("window")
    table.add_column("tokens held", justify="right")
    for each in found.tried:
        name, held = str(each.tokens), f"{each.held_tokens:.1f}"
        if each.at is None:
            table.add_row(name, "none", *[""] * 4, held, style="dim")
        else:
            cheapest = each.tokens == found.cheapest
            _row(table, f"{name} (cheapest)" if cheapest else name, each.at, "", held)
    return table


_STYLES = {Standing.KEPT: "green", Standing.UNPROVEN: "", Standing.BROKEN: "bold red"}


def sentence(found: Tuned) -> str:
    """What an operator asked, in rich's markup."""
    route = escape(found.route)
    if found.promise is None or found.chosen is None:
        more = ""
        if found.more_requests is not None:
            more = f" At the pace of these traces that is {found.more_requests:,} requests."
        return f"[bold red]{route}: no threshold.[/] {escape(found.refusal or '')}.{more}"
    covered, kept = found.chosen.coverage, found.promise
    saving = found.chosen.saving
    money = f"; cost {-saving:+.0%}" if saving is not None else ""
    return (
        f"[bold green]{route}: threshold {kept.threshold:.4f}.[/] The student serves "
        f"{covered.estimate:.0%} ({covered.lower:.0%} to {covered.upper:.0%}), and with "
        f"{1 - kept.delta:.0%} certainty at most {_bound(found):.1%} of what it serves differs "
        f"from the teacher ({kept.judged} pairs, {kept.bound} bound){money}."
    )


def rehearsal(played: Sequence[tuple[Replayed, Promise]]) -> RenderableType:
    table = _table()
    table.add_column("bound", justify="right")
    for point, kept in played:
        _row(table, "", point, "", f"{kept.risk_bound:.1%}")
    return table


def _bound(found: Tuned) -> float:
    """Promised, or, where no risk was wished for, found."""
    assert found.promise is not None  # noqa: S101 - the caller's case
    return found.promise.risk_bound if found.wish.max_risk is None else found.wish.max_risk


def _basis(found: Tuned) -> str:
    missed = f", {found.missed} missed" if found.missed else ""
    return (
        f"{found.requests} requests ruled on, {found.judged} judged by {found.comparator}{missed}; "
        f"student {found.student}. "
        "What differs is counted in the two thirds of them that nothing was planned on."
    )


def _table(first: str = "") -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first)
    for name in ("threshold", "student serves", "differs", "pairs", "saves"):
        table.add_column(name, justify="right")
    return table


def _row(table: Table, name: str, point: Replayed, style: str, *more: str) -> None:
    table.add_row(
        name,
        f"{point.threshold:.4f}",
        _shares(point.coverage),
        _shares(point.risk),
        str(point.judged),
        "unknown" if point.saving is None else f"{point.saving:.0%}",
        *more,
        style=style,
    )


def _shares(found: Interval | None) -> str:
    if found is None:
        return "unknown"
    return f"{found.estimate:.1%} ({found.lower:.1%} to {found.upper:.1%})"
