"""API keys in one SQLite file: made, listed, revoked. A key reads `tk-<id>-<secret>`.

The secret has 256 random bits and is shown once; what is kept is its SHA-256, which needs no slow
hash because there is nothing to guess.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    created_s REAL NOT NULL,
    revoked_s REAL
) STRICT
"""


class KeyringError(Exception):
    """The key file cannot be used, or has no such key; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; times in unix seconds. `revoked_s` is None while it works."""

    id: str
    name: str
    digest: bytes
    created_s: float
    revoked_s: float | None


_READ_WAIT_S = 0.25
"""For a lock: gateways read in the midst of requests."""


class Keyring:
    """The file at `path`, opened anew by every call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Make the file if there is none. Raises KeyringError if it is something else."""
        with self._open():
            pass

    def create(self, name: str, now_s: float) -> str:
        """Make a key and return it whole: the only time that its secret is seen."""
        key_id, secret = secrets.token_hex(4), secrets.token_hex(32)
        with self._open() as file:
            file.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, NULL)",
                (key_id, name, digest_of(secret), now_s),
            )
        return f"tk-{key_id}-{secret}"

    def all(self) -> list[Key]:
        """Oldest first, revoked ones too. Raises KeyringError, also when the file is not there."""
        with self._own_error():
            uri = f"file:{quote(str(self._path))}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=_READ_WAIT_S)) as file:
                rows = file.execute(
                    "SELECT id, name, digest, created_s, revoked_s FROM keys ORDER BY created_s"
                )
                return [Key(*row) for row in rows]

    def revoke(self, key_id: str, now_s: float) -> Key:
        """Gateways refuse it within 2 s. Raises KeyringError when no such key works."""
        with self._open() as file:
            changed = file.execute(
                "UPDATE keys SET revoked_s = ? WHERE id = ? AND revoked_s IS NULL",
                (now_s, key_id),
            ).rowcount
        if not changed:
            raise KeyringError(f"no key {key_id!r} that works; see `tutelage keys ls`")
        return next(key for key in self.all() if key.id == key_id)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._own_error():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            with closing(sqlite3.connect(self._path, timeout=5.0)) as file, file:
                file.execute(_SCHEMA)
                yield file

    @contextmanager
    def _own_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise KeyringError(f"{self._path}: the key file cannot be used: {error}") from error


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
