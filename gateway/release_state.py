"""Which releases a route should be served by, and where they stand: read from the state file.

Whoever runs the engines writes it, by `serving/release_state.py`; a test holds both together.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec

from gateway.rulings import RulingsError
from router.calibration import Calibration
from router.gate import Signal

_WAIT_S = 0.25
"""For a lock: gateways read in the midst of requests."""
_TABLES = "SELECT count(*) FROM sqlite_master WHERE name IN ('releases', 'standing')"
_WANTED = """
SELECT route, after FROM releases WHERE number IN (SELECT max(number) FROM releases GROUP BY route)
"""
_STANDING = """
SELECT stands_for, release, base_url, model, up_pid, facts FROM standing WHERE state = 'ready'
"""


class Wanted(msgspec.Struct, frozen=True):
    """Releases by their ids; None is what the config has. share: of requests, the candidate's."""

    current: str | None = None
    candidate: str | None = None
    share: float = 0.0


class Gate(msgspec.Struct, frozen=True):
    """The threshold that was chosen on this student, and the reading that it was chosen for."""

    threshold: float
    signal: str = Signal.MEAN_PROBABILITY.value
    label: str | None = None
    window_tokens: int = 24


class Facts(msgspec.Struct, frozen=True):
    """What a release says of itself; nothing, where the config's own engine is none."""

    student_sha256: str | None = None
    gate: Gate | None = None
    calibration: Calibration | None = None


class Standing(msgspec.Struct, frozen=True):
    """An engine that is ready. stands_for: the base_url that the config has for its upstream.

    release: "" is the config's engine, where the config does not say which release that is.
    """

    stands_for: str
    release: str
    base_url: str
    model: str
    facts: Facts


class ReleaseState:
    """The file at `path`, which need not hold anything of releases. All raise RulingsError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[dict[str, Wanted], list[Standing]]:
        """What is wanted, by route, and who stands; engines whose starter is gone do not."""
        uri = f"file:{quote(str(self.path))}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_S)) as file:
                if file.execute(_TABLES).fetchone() != (2,):
                    return {}, []
                wanted = {route: _wanted.decode(after) for route, after in file.execute(_WANTED)}
                standing = [
                    Standing(stands_for, release, base_url, model, _facts.decode(facts))
                    for stands_for, release, base_url, model, pid, facts in file.execute(_STANDING)
                    if _is_alive(pid)
                ]
        except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
            raise RulingsError(f"{self.path}: releases cannot be read: {error}") from error
        return wanted, standing


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_wanted = msgspec.json.Decoder(Wanted)
_facts = msgspec.json.Decoder(Facts)
