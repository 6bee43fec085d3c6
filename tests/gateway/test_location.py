from pathlib import Path

import pytest

from gateway.location import UnknownStore, default_keys, default_state, default_store, store_path
from serving.home import Home


def test_a_store_is_named_by_an_absolute_path() -> None:
    assert store_path("sqlite:///var/lib/t.db") == Path("/var/lib/t.db")


@pytest.mark.parametrize(
    "url", ["", "/var/lib/t.db", "sqlite://t.db", "redis://host/0", "sqlite:/t.db"]
)
def test_any_other_name_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(UnknownStore, match=r"use sqlite:///absolute/path/to/file\.db"):
        store_path(url)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"TUTELAGE_HOME": "/srv/tutelage"},
        {"TUTELAGE_HOME": "here"},
        {"TUTELAGE_HOME": "~/there"},
        {"XDG_CACHE_HOME": "/var/cache"},
        {"XDG_CACHE_HOME": "relative"},
        {"TUTELAGE_HOME": "/srv/tutelage", "XDG_CACHE_HOME": "/var/cache"},
    ],
)
def test_the_default_is_in_the_home_that_the_engines_use(
    env: dict[str, str], platform: str
) -> None:
    """Two packages that may not import each other keep one rule."""
    root = Home.of(env, platform=platform).root

    assert store_path(default_store(env, platform=platform)) == root / "traces.db"
    assert store_path(default_keys(env, platform=platform)) == root / "keys.db"
    assert store_path(default_state(env, platform=platform)) == root / "state.db"
