"""Thresholds applied while gateways run: one SQLite file, a row for each change, none ever altered.

Each says who changed what, when, why, from what and to what; a route's last one is in force.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from router.calibration import Calibration
from router.drift import Reference

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rulings (
    number INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    applied_s REAL NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    before TEXT,
    after TEXT NOT NULL,
    release TEXT
) STRICT
"""
_RELEASE_CAME_LATER = "ALTER TABLE rulings ADD COLUMN release TEXT"
_LAST = """
SELECT after FROM rulings WHERE route = ? AND release IS ? ORDER BY number DESC LIMIT 1
"""
_LAST_OF_ALL = """
SELECT before, after, release FROM rulings WHERE route = ? ORDER BY number DESC LIMIT 1
"""
_IN_FORCE = """
SELECT route, applied_s, who, why, before, after, release FROM rulings
WHERE number IN (SELECT max(number) FROM rulings GROUP BY route, release) ORDER BY number
"""
_ALL = "SELECT route, applied_s, who, why, before, after, release FROM rulings ORDER BY number"
_PUT = """
INSERT INTO rulings (route, applied_s, who, why, before, after, release)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_KNOWS_RELEASES = "SELECT 1 FROM pragma_table_info('rulings') WHERE name = 'release'"
_CONFIGS = "null"
"""After a change that puts the config in force again."""
_WAIT_S = 0.25
"""For a lock: gateways read in the midst of requests."""


class RulingsError(Exception):
    """The file cannot be used; the message says which and why."""


class Ruling(msgspec.Struct, frozen=True):
    """calibration: None rules by the route's own signal. reference: the traffic that it was found
    on, where it was.
    """

    threshold: float
    calibration: Calibration | None = None
    reference: Reference | None = None


class Applied(msgspec.Struct, frozen=True):
    """before, after: None where the config was, or is, in force. applied_s: unix seconds.

    release: whose student it was found on, and which alone it rules; None: one without a name.
    """

    route: str
    applied_s: float
    who: str
    why: str
    before: Ruling | None
    after: Ruling | None
    release: str | None = None


class Rulings:
    """The file at `path`, opened anew by every call. All raise RulingsError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the file if there is none."""
        with self._open():
            pass

    def apply(
        self,
        route: str,
        ruling: Ruling,
        *,
        who: str,
        why: str,
        now_s: float,
        release: str | None = None,
    ) -> Applied:
        """Gateways follow within 2 s, wherever that release serves."""
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            last = file.execute(_LAST, (route, release)).fetchone()
            before = last[0] if last is not None else None
            row = (route, now_s, who, why, before, msgspec.json.encode(ruling).decode(), release)
            file.execute(_PUT, row)
        return _applied(row)

    def revert(self, route: str, *, who: str, why: str, now_s: float) -> Applied:
        """Puts back what was in force before the last change: of a revert, what it took back.

        Raises RulingsError too where nothing was ever applied.
        """
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            last = file.execute(_LAST_OF_ALL, (route,)).fetchone()
            if last is None:
                raise RulingsError(f"{self.path}: nothing was ever applied to route {route!r}")
            row = (route, now_s, who, why, last[1], last[0] or _CONFIGS, last[2])
            file.execute(_PUT, row)
        return _applied(row)

    def in_force(self) -> list[Applied]:
        """The last one of each route and release."""
        return self._read(_IN_FORCE)

    def references(self) -> dict[tuple[str, str | None], Reference | None]:
        """By route and release: the traffic that the threshold in force was found on."""
        return {
            (each.route, each.release): each.after.reference if each.after is not None else None
            for each in self.in_force()
        }

    def all(self) -> list[Applied]:
        """Oldest first."""
        return self._read(_ALL)

    def _read(self, sql: str) -> list[Applied]:
        uri = f"file:{quote(str(self.path))}?mode=ro"
        with self._own_error(), closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S)) as file:
            return [_applied(row) for row in file.execute(sql)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._own_error():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as file, file:
                file.execute(_SCHEMA)
                if file.execute(_KNOWS_RELEASES).fetchone() is None:
                    file.execute(_RELEASE_CAME_LATER)
                yield file

    @contextmanager
    def _own_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
            raise RulingsError(
                f"{self.path}: applied thresholds cannot be used: {error}"
            ) from error


def _applied(row: tuple[str, float, str, str, str | None, str, str | None]) -> Applied:
    route, applied_s, who, why, before, after, release = row
    return Applied(
        route,
        applied_s,
        who,
        why,
        _RULING.decode(before) if before is not None else None,
        _RULING.decode(after),
        release,
    )


_RULING = msgspec.json.Decoder(Ruling | None)
