"""Which replica of an upstream is asked: a probe that is due, a session's own, the least loaded.

A request with an affinity prefers the replica whose KV cache it filled: rendezvous hashing names
it, the same on every gateway and after a restart, and moves only the sessions of a replica that
is gone. It yields where that replica carries much more than its share (consistent hashing with
bounded loads, Mirrokni et al., arXiv:1608.01350): a popular prefix spreads out.
"""

from collections.abc import Sequence
from hashlib import blake2b

from gateway.breaker import Breaker, State
from gateway.call import url_of

_MOST_OF_MEAN = 1.25
_SLACK = 4
"""Calls over 1.25 times the mean that an affinity may pile up: of few calls the mean is noise."""


class _Urls(dict[str, str]):
    """By path; made once, so that the transport meets the same string each time."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    def __missing__(self, path: str) -> str:
        self[path] = url = url_of(self._base_url, path)
        return url


class Replica:
    """One base URL, the calls that run on it, and whether it is to be trusted with more."""

    __slots__ = ("_key", "base_url", "breaker", "in_flight", "urls")

    def __init__(self, base_url: str, breaker: Breaker) -> None:
        self.base_url = base_url
        self.breaker = breaker
        self.in_flight = 0
        self.urls = _Urls(base_url)
        self._key = blake2b(base_url.encode(), digest_size=16).digest()

    def weight(self, affinity: bytes) -> bytes:
        """Rendezvous hashing: the replica with the largest weight is the affinity's own."""
        return blake2b(affinity, digest_size=8, key=self._key).digest()


class NoReplica(Exception):
    """Every circuit is open; the next probe is due in `probe_in_s`."""

    def __init__(self, probe_in_s: float) -> None:
        super().__init__(f"circuit open, next probe in {probe_in_s:.1f} s")
        self.probe_in_s = probe_in_s


class Replicas:
    """The replicas of one upstream, in the order of the config."""

    __slots__ = ("_all", "_next", "only")

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._all = tuple(replicas)
        self.only = self._all[0] if len(self._all) == 1 else None
        self._next = 0

    @property
    def all(self) -> tuple[Replica, ...]:
        return self._all

    def choose(self, affinity: bytes | None = None, but: Replica | None = None) -> Replica:
        """`but`: the one that just failed; taken only where there is no other.

        Raises NoReplica. A chosen one whose circuit is not closed is to be probed.
        """
        if (only := self.only) is not None and only.breaker.closed:
            return only
        able = [each for each in self._all if each.breaker.closed]
        if but is None or not able:
            for each in self._all:
                if each.breaker.probe_is_due():
                    return each
        if not able:
            raise NoReplica(self.probe_in_s())
        if but is not None and len(able) > 1:
            able = [each for each in able if each is not but]
        if len(able) == 1:
            return able[0]
        return self._least_loaded(able) if affinity is None else _own(able, affinity)

    def another_than(self, replica: Replica | None) -> bool:
        """Whether a second attempt would go to another replica."""
        return any(each.breaker.closed and each is not replica for each in self._all)

    def _least_loaded(self, able: list[Replica]) -> Replica:
        """Of equals, each in its turn."""
        self._next += 1
        shift = self._next % len(able)
        return min(able[shift:] + able[:shift], key=_load)

    def circuit(self) -> State:
        """The best of all: closed if one is."""
        return min(each.breaker.state for each in self._all)

    def probe_in_s(self) -> float:
        return min(each.breaker.probe_in_s() for each in self._all)


def _load(replica: Replica) -> int:
    return replica.in_flight


def _own(able: list[Replica], affinity: bytes) -> Replica:
    """The affinity's own replica, or the next in its order that is not overloaded."""
    most = _MOST_OF_MEAN * sum(map(_load, able)) / len(able) + _SLACK
    bearable = [each for each in able if each.in_flight < most]
    return max(bearable, key=lambda each: each.weight(affinity))
