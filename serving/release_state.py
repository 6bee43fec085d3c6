"""Who should serve a route, and who stands ready: two tables in the file that gateways watch.

`releases`: a row for each change, none ever altered: who, when, why, before, after; a route's last
one is what is wanted. `standing`: the engines that serve a release now, kept by who started them.
A gateway reads both (`gateway/release_state.py`), and this package may not import it: the tables
and the JSON in them are the contract, and a test holds the two together.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import Field, JsonValue, ValidationError

from serving.checked import Checked
from serving.errors import ServingError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (
    number INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    changed_s REAL NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    before TEXT,
    after TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS standing (
    stands_for TEXT NOT NULL,
    release TEXT NOT NULL,
    base_url TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL,
    up_pid INTEGER NOT NULL,
    configured_for TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (stands_for, release)
) STRICT;
"""
_COLUMNS = "route, changed_s, who, why, before, after"
_WAIT_S = 5.0


class StateUnusable(ServingError):
    """The file cannot be read or written; the text says which and why."""


class Wanted(Checked):
    """Releases by their ids. None is the engine as the config has it.

    share: of the route's requests that the candidate gets. kept_s: how long the one before goes on
    running after a switch, for a rollback that waits for nothing.
    """

    current: str | None = None
    candidate: str | None = None
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    kept_s: Annotated[float, Field(ge=0)] = 600.0


class Change(Checked):
    """before: None where nothing was wanted yet. changed_s: unix seconds."""

    route: str
    changed_s: float
    who: str
    why: str
    before: Wanted | None
    after: Wanted


class Standing(Checked):
    """An engine of a release. stands_for: the base_url that the config has for its upstream.

    release: "" where the config's own engine is none. state: starting, ready or failed.
    configured_for: the routes of which this is the config's own engine, wherever it runs now.
    """

    stands_for: str
    release: str
    base_url: str
    model: str
    state: str
    note: str = ""
    up_pid: int
    configured_for: tuple[str, ...] = ()
    facts: Mapping[str, JsonValue] = Field(default_factory=dict)


class ReleaseState:
    """The file at `path`, opened anew by every call. All raise `StateUnusable`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def change(self, route: str, after: Wanted, *, who: str, why: str, now_s: float) -> Change:
        """Gateways and engines follow within 2 s."""
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            last = file.execute(
                "SELECT after FROM releases WHERE route = ? ORDER BY number DESC LIMIT 1", (route,)
            ).fetchone()
            before = last[0] if last is not None else None
            file.execute(
                f"INSERT INTO releases ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 (ours)
                (route, now_s, who, why, before, after.model_dump_json()),
            )
        return _change((route, now_s, who, why, before, after.model_dump_json()))

    def changes(self, route: str | None = None) -> list[Change]:
        """Oldest first."""
        rows = self._read(f"SELECT {_COLUMNS} FROM releases ORDER BY number")  # noqa: S608 (ours)
        try:
            found = [_change(row) for row in rows]
        except ValidationError as error:
            raise StateUnusable(f"{self.path}: releases: {error.errors()[0]['msg']}") from error
        return [each for each in found if route is None or each.route == route]

    def wanted(self) -> dict[str, Wanted]:
        """By route; routes that nobody ever changed are not in it."""
        return {change.route: change.after for change in self.changes()}

    def stand(self, engine: Standing) -> None:
        """Note it, in place of what was noted of that release."""
        with self._open() as file:
            file.execute(
                "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(engine.stands_for, engine.release, engine.base_url, engine.model),
                    *(engine.state, engine.note, engine.up_pid),
                    *(json.dumps(engine.configured_for), json.dumps(dict(engine.facts))),
                ),
            )

    def gone(self, up_pid: int, stands_for: str | None = None, release: str | None = None) -> None:
        """Forget one engine of a starter, or all of them."""
        with self._open() as file:
            file.execute(
                "DELETE FROM standing WHERE up_pid = ?1 AND (?2 IS NULL OR stands_for = ?2)"
                " AND (?3 IS NULL OR release = ?3)",
                (up_pid, stands_for, release),
            )

    def forgive(self, release: str | None) -> None:
        """Forget that it failed: it is to be tried again."""
        with self._open() as file:
            file.execute("DELETE FROM standing WHERE release = ? AND state = 'failed'", (release,))

    def standing(self) -> list[Standing]:
        columns = list(Standing.model_fields)
        rows = self._read(f"SELECT {', '.join(columns)} FROM standing")  # noqa: S608 (ours)
        return [
            Standing.model_validate(
                {
                    **dict(zip(columns, row, strict=True)),
                    "configured_for": json.loads(str(row[-2])),
                    "facts": json.loads(str(row[-1])),
                }
            )
            for row in rows
        ]

    def _read(self, sql: str) -> list[tuple[str | float | None, ...]]:
        if not self.path.exists():
            return []
        uri = f"file:{quote(str(self.path))}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S)) as file:
                if not file.execute(_HAS_TABLES).fetchone():
                    return []
                return file.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise StateUnusable(f"{self.path}: cannot be read: {error}") from error

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as file:
                file.executescript(_SCHEMA)
                with file:
                    yield file
        except (OSError, sqlite3.Error) as error:
            raise StateUnusable(f"{self.path}: cannot be written: {error}") from error


def _change(row: tuple[str | float | None, ...]) -> Change:
    route, changed_s, who, why, before, after = row
    return Change.model_validate(
        {
            "route": route,
            "changed_s": changed_s,
            "who": who,
            "why": why,
            "before": json.loads(str(before)) if before is not None else None,
            "after": json.loads(str(after)),
        }
    )


_HAS_TABLES = "SELECT 1 FROM sqlite_master WHERE name = 'standing'"
