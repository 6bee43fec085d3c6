"""How releases look in a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.table import Table

from serving.release import BrokenRelease, Release
from serving.release_moves import told
from serving.release_state import Change, Standing, Wanted


def releases_table(
    releases: Iterable[Release | BrokenRelease],
    *,
    wanted: Mapping[str, Wanted],
    standing: Sequence[Standing],
) -> Table:
    """A row per release: what it is, whom it serves, where it runs."""
    table = _table("release", "student", "quantization", "size", "added", "serves", "engine")
    for release in releases:
        if isinstance(release, BrokenRelease):
            table.add_row("[red]damaged[/]", str(release))
            continue
        manifest = release.manifest
        added = datetime.fromtimestamp(release.folder.stat().st_mtime, UTC)
        table.add_row(
            release.id,
            manifest.student.sha256[:12] + (" + adapter" if release.adapter is not None else ""),
            manifest.student.quantization or "-",
            f"{release.bytes / 1e6:.0f} MB",
            added.strftime("%Y-%m-%d %H:%M"),
            ", ".join(_serves(release.id, wanted)) or "-",
            ", ".join(_runs(release.id, standing)) or "-",
        )
    return table


def changes_table(changes: Sequence[Change]) -> Table:
    table = _table("when (UTC)", "route", "who", "before", "after", "why")
    for change in changes:
        table.add_row(
            datetime.fromtimestamp(change.changed_s, UTC).strftime("%Y-%m-%d %H:%M:%S"),
            change.route,
            change.who,
            in_words(change.before) if change.before is not None else "-",
            in_words(change.after),
            change.why,
        )
    return table


def in_words(wanted: Wanted) -> str:
    """Who serves, and who besides."""
    candidate = f", {wanted.share:.1%} {wanted.candidate}" if wanted.candidate else ""
    return told(wanted.current) + candidate


def _serves(release: str, wanted: Mapping[str, Wanted]) -> Iterable[str]:
    for route, wish in wanted.items():
        if wish.current == release:
            yield route
        elif wish.candidate == release:
            yield f"{wish.share:.1%} of {route}"


def _runs(release: str, standing: Sequence[Standing]) -> Iterable[str]:
    for engine in standing:
        if engine.release == release:
            yield f"{engine.base_url} {engine.state}"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
