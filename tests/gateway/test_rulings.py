import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.rulings import Ruling, Rulings, RulingsError
from tests.router.judged_pairs import DULL


def test_every_change_is_kept_and_the_last_of_each_route_is_in_force(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "new" / "state.db")
    rulings.apply("a", Ruling(0.7), who="ann", why="try", now_s=1.0)
    rulings.apply("b", Ruling(0.5), who="ann", why="try", now_s=2.0)
    last = rulings.apply("a", Ruling(0.8, DULL), who="bob", why="safer", now_s=3.0)

    assert [each.after for each in rulings.all()] == [Ruling(0.7), Ruling(0.5), Ruling(0.8, DULL)]
    assert {each.route: each.after for each in rulings.in_force()} == {
        "a": Ruling(0.8, DULL),
        "b": Ruling(0.5),
    }
    assert (last.before, last.who, last.why, last.applied_s) == (Ruling(0.7), "bob", "safer", 3.0)


def test_a_revert_is_a_change_as_well_and_can_be_reverted(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    for threshold in (0.7, 0.8):
        rulings.apply("a", Ruling(threshold), who="ann", why="try", now_s=1.0)
    back = rulings.revert("a", who="bob", why="too lenient", now_s=2.0)

    assert (back.before, back.after) == (Ruling(0.8), Ruling(0.7))
    assert (back.who, back.why, back.applied_s) == ("bob", "too lenient", 2.0)
    assert rulings.in_force() == [back]
    assert rulings.revert("a", who="bob", why="or not", now_s=3.0).after == Ruling(0.8)
    assert len(rulings.all()) == 4


def test_the_first_change_reverts_to_the_config_and_an_older_file_can_hold_that(
    tmp_path: Path,
) -> None:
    rulings = Rulings(tmp_path / "state.db")
    rulings.apply("a", Ruling(0.7), who="ann", why="try", now_s=1.0)

    assert rulings.revert("a", who="bob", why="off", now_s=2.0).after is None
    assert rulings.revert("a", who="bob", why="on", now_s=3.0).after == Ruling(0.7)


def test_there_is_nothing_to_revert_where_nothing_was_applied(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    rulings.apply("a", Ruling(0.7), who="ann", why="try", now_s=1.0)

    with pytest.raises(RulingsError, match="nothing was ever applied to route 'b'"):
        rulings.revert("b", who="bob", why="off", now_s=2.0)


def test_reading_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    """Or gateways, which look at its time, would read it for ever."""
    rulings = Rulings(tmp_path / "state.db")
    rulings.apply("a", Ruling(0.7), who="ann", why="try", now_s=1.0)
    before = rulings.path.stat().st_mtime_ns
    rulings.in_force()

    assert rulings.path.stat().st_mtime_ns == before


def test_another_programs_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at")

    with pytest.raises(RulingsError, match=r"state\.db: applied thresholds cannot be used"):
        Rulings(path).in_force()


def test_what_is_applied_belongs_to_one_release(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    for release, threshold in ((None, 0.5), ("new", 0.7), ("new", 0.8)):
        rulings.apply("a", Ruling(threshold), who="ann", why="", now_s=0.0, release=release)
    back = rulings.revert("a", who="ann", why="", now_s=1.0)

    assert (back.release, back.before, back.after) == ("new", Ruling(0.8), Ruling(0.7))
    assert {each.release: each.after for each in rulings.in_force()} == {
        None: Ruling(0.5),
        "new": Ruling(0.7),
    }


def test_a_file_from_before_releases_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(
            "CREATE TABLE rulings (number INTEGER PRIMARY KEY, route TEXT NOT NULL,"
            " applied_s REAL NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, before TEXT,"
            " after TEXT NOT NULL) STRICT"
        )
        row = ("a", 0.0, "ann", "", None, '{"threshold": 0.5}')
        file.execute("INSERT INTO rulings VALUES (NULL, ?, ?, ?, ?, ?, ?)", row)
    rulings = Rulings(path)
    rulings.make()

    (applied,) = rulings.in_force()
    assert (applied.release, applied.after) == (None, Ruling(0.5))
