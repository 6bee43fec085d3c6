from pathlib import Path

import pytest

from serving.home import Home


@pytest.mark.parametrize(
    ("env", "platform", "root"),
    [
        ({"TUTELAGE_HOME": "/data/tutelage"}, "linux", "/data/tutelage"),
        ({"TUTELAGE_HOME": "/data/t", "XDG_CACHE_HOME": "/cache"}, "darwin", "/data/t"),
        ({"XDG_CACHE_HOME": "/cache"}, "linux", "/cache/tutelage"),
        ({"XDG_CACHE_HOME": "not/absolute"}, "linux", "~/.cache/tutelage"),
        ({}, "linux", "~/.cache/tutelage"),
        ({"XDG_CACHE_HOME": "/cache"}, "darwin", "~/Library/Caches/tutelage"),
    ],
)
def test_home_is_where_the_user_or_the_system_keeps_caches(
    env: dict[str, str], platform: str, root: str
) -> None:
    assert Home.of(env, platform=platform).root == Path(root).expanduser()


def test_a_relative_home_is_made_absolute() -> None:
    assert Home.of({"TUTELAGE_HOME": "here"}).root == Path.cwd() / "here"
