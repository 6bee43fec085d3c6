"""Which files the traces, the keys and the applied thresholds are in."""

import sys
from collections.abc import Mapping
from pathlib import Path

_SCHEME = "sqlite://"


class UnknownStore(Exception):
    """The URL names no kind of store that we know; the message says which we do."""


def store_path(url: str) -> Path:
    """`sqlite:///var/lib/traces.db` is /var/lib/traces.db. Raises UnknownStore for others."""
    path = Path(url.removeprefix(_SCHEME)).expanduser()
    if not url.startswith(_SCHEME) or not path.is_absolute():
        raise UnknownStore(
            f"store: {url!r} is not a store we know; use sqlite:///absolute/path/to/file.db"
        )
    return path


def default_store(env: Mapping[str, str], *, platform: str = sys.platform) -> str:
    """`traces.db` in TUTELAGE_HOME, or in tutelage's folder of the user's cache."""
    return f"{_SCHEME}{_home(env, platform) / 'traces.db'}"


def default_keys(env: Mapping[str, str], *, platform: str = sys.platform) -> str:
    """`keys.db`, in the same folder."""
    return f"{_SCHEME}{_home(env, platform) / 'keys.db'}"


def default_state(env: Mapping[str, str], *, platform: str = sys.platform) -> str:
    """`state.db`, in the same folder."""
    return f"{_SCHEME}{_home(env, platform) / 'state.db'}"


def _home(env: Mapping[str, str], platform: str) -> Path:
    """The rule of `serving.home`, which the gateway may not import; a test holds them together."""
    if chosen := env.get("TUTELAGE_HOME"):
        return Path(chosen).expanduser().absolute()
    if platform == "darwin":
        return Path("~/Library/Caches/tutelage").expanduser()
    cache = env.get("XDG_CACHE_HOME")
    # The XDG specification: a relative value is to be ignored.
    if cache and Path(cache).is_absolute():
        return Path(cache) / "tutelage"
    return Path("~/.cache/tutelage").expanduser()
