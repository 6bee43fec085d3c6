"""Who is calling: an API key becomes a caller's name, or an error."""

import hmac
import re
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import Unauthorized
from gateway.keys import Key, Keyring, digest_of

_FRESH_S = 2.0
_KEY = re.compile(r"tk-([0-9a-f]+)-([0-9a-f]+)")


class Callers(Protocol):
    def identify(self, authorization: str | None) -> str | None:
        """The caller's name for an `Authorization` header; None where nobody is asked for one.

        Raises Unauthorized.
        """


class Anyone:
    """`server.auth = "none"`: whatever key a client sends is as good as none."""

    def identify(self, authorization: str | None) -> None:
        pass


class KeyHolders:
    """`server.auth = "keys"`. Reads the keyring at most once in two seconds."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock
        self._read_s = float("-inf")
        self._keys: dict[str, Key] = {}

    def identify(self, authorization: str | None) -> str:
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not credentials:
            raise Unauthorized("an API key is needed: `Authorization: Bearer tk-…`")
        found = _KEY.fullmatch(credentials.strip())
        key = self._current().get(found[1]) if found else None
        if found is None or key is None:
            raise Unauthorized("this API key is unknown or revoked")
        if not hmac.compare_digest(key.digest, digest_of(found[2])):
            raise Unauthorized("this API key is unknown or revoked")
        return key.name

    def _current(self) -> dict[str, Key]:
        now_s = self._clock.monotonic_s()
        if now_s - self._read_s >= _FRESH_S:
            self._keys = {key.id: key for key in self._keyring.all() if key.revoked_s is None}
            self._read_s = now_s
        return self._keys
