"""Who is calling: an API key becomes a caller's name, or an error."""

import hmac
import logging
import re
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import Unauthorized
from gateway.keys import Key, Keyring, KeyringError, digest_of

log = logging.getLogger(__name__)

_FRESH_S = 2.0
_MOST_KNOWN = 10_000
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
    """`server.auth = "keys"`. Reads the keyring at most once in two seconds.

    While it cannot be read, the keys that were read last go on working, and the log says so.
    Raises KeyringError when made with a keyring that cannot be read.
    """

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock
        self._trouble = False
        keyring.make()
        self._keys = _that_work(keyring)
        self._known: dict[str | None, str] = {}
        self._stale_s = clock.monotonic_s() + _FRESH_S

    def identify(self, authorization: str | None) -> str:
        if self._clock.monotonic_s() >= self._stale_s:
            self._reread()
        try:
            return self._known[authorization]
        except KeyError:
            return self._look_up(authorization)

    def _look_up(self, authorization: str | None) -> str:
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not credentials:
            raise Unauthorized("an API key is needed: `Authorization: Bearer tk-…`")
        found = _KEY.fullmatch(credentials.strip())
        key = self._keys.get(found[1]) if found else None
        if found is None or key is None:
            raise Unauthorized("this API key is unknown or revoked")
        if not hmac.compare_digest(key.digest, digest_of(found[2])):
            raise Unauthorized("this API key is unknown or revoked")
        if len(self._known) < _MOST_KNOWN:  # one key has many spellings
            self._known[authorization] = key.name
        return key.name

    def _reread(self) -> None:
        try:
            self._keys = _that_work(self._keyring)
        except KeyringError as error:
            if not self._trouble:
                log.warning("the keys that were read last go on working: %s", error)
            self._trouble = True
        else:
            if self._trouble:
                log.warning("the keys can be read again")
            self._trouble = False
            self._known.clear()
        self._stale_s = self._clock.monotonic_s() + _FRESH_S


def _that_work(keyring: Keyring) -> dict[str, Key]:
    return {key.id: key for key in keyring.all() if key.revoked_s is None}
