"""Readiness: whether each route can be served by somebody."""

import asyncio
from dataclasses import dataclass, field

from gateway.breaker import State
from gateway.clock import Clock
from gateway.route import Role, Route, RouteTable
from gateway.transport import TransportError
from gateway.upstream import Upstream

_PROBE_S = 2.0
_FRESH_S = 2.0
_OK = 200


@dataclass(slots=True)
class Health:
    """Probes `GET /models` of every upstream, at most once in two seconds."""

    routes: RouteTable
    upstreams: dict[str, Upstream]
    clock: Clock
    _asked_s: float = float("-inf")
    _states: dict[str, str] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def states(self) -> dict[str, str]:
        """`up`, or what is wrong, by upstream."""
        async with self._one_at_a_time:
            if self.clock.monotonic_s() - self._asked_s > _FRESH_S:
                parties = self._parties()
                found = await asyncio.gather(*map(_probe, parties.values()))
                self._states = dict(zip(parties, found, strict=True))
                self._asked_s = self.clock.monotonic_s()
        return self._states

    async def readiness(self) -> tuple[bool, dict[str, str]]:
        """Ready: every route has at least one model that answers."""
        states = await self.states()
        ready = all(
            "up" in (states.get(self._label(route, role), "unknown") for role in Role)
            for route in self.routes
        )
        return ready, states

    def _parties(self) -> dict[str, Upstream]:
        """Who serves now, by name, and what the config has besides."""
        found = {}
        for route in self.routes:
            for arm in (route,) if route.canary is None else (route, route.canary.route):
                found.update({self._label(arm, role): arm.upstream(role) for role in Role})
        names = {upstream.name for upstream in found.values()}
        return found | {name: each for name, each in self.upstreams.items() if name not in names}

    def _label(self, route: Route, role: Role) -> str:
        """An engine that is not the config's own is called by its release, too."""
        upstream = route.upstream(role)
        own = self.upstreams.get(upstream.name) is upstream
        return upstream.name if own else f"{upstream.name} ({route.release})"


async def _probe(upstream: Upstream) -> str:
    """One replica that answers is enough, unless calls to all of them keep failing. A circuit that
    waits for its probe counts as well: only traffic can close it.
    """
    if upstream.replicas.circuit() is State.OPEN:
        return f"circuit open, next probe in {upstream.replicas.probe_in_s():.1f} s"
    problem = "no replica"
    for replica in upstream.replicas.all:
        try:
            async with asyncio.timeout(_PROBE_S):
                response = await upstream.transport.get(
                    f"{replica.base_url}/models", upstream.headers
                )
                status = response.status
                response.close()
        except TransportError as error:
            problem = str(error)
        except TimeoutError:
            problem = f"no answer within {_PROBE_S:g} s"
        else:
            if status == _OK:
                return "up"
            problem = f"status {status}"
    return problem
