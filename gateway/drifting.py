"""Holds the traffic of every route to what its threshold was found on: `tutelage_drift`."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.metrics import Metrics
from gateway.route import RouteTable
from gateway.rulings import Rulings
from router.drift import Drift, Reference
from router.drift_watch import DriftWatch
from router.sampling import rarest
from router.trace import Exchange, Judgement


@dataclass(frozen=True, slots=True)
class _Held:
    """What is watched of a route: another release, or another reference, begins anew."""

    release: str | None
    reference: Reference | None


class Drifting:
    """A duty of the watch. per: by route, how many readings to a false alarm."""

    def __init__(
        self, routes: RouteTable, rulings: Rulings, metrics: Metrics, *, per: Mapping[str, float]
    ) -> None:
        self._routes = routes
        self._rulings = rulings
        self._metrics = metrics
        self._per = per
        self._held: dict[str, _Held] = {}
        self._watches: dict[str, DriftWatch] = {}
        self._found: dict[str, list[Drift]] = {}

    def begin(self) -> float | None:
        references = self._rulings.references()
        held = {
            route.name: _Held(route.release, references.get((route.name, route.release)))
            for route in self._routes
        }
        if held == self._held:
            return None
        self._held = held
        return min(
            (each.reference.taken_s if each.reference is not None else 0.0)
            for each in held.values()
        )

    def forget(self) -> None:
        self._watches = {
            route.name: DriftWatch(
                self._held[route.name].reference,
                comparator=route.comparators[0].value,
                rarest=rarest(
                    route.shadow_sampler, rate=route.shadow_rate, floor=route.shadow_floor
                ),
                per=self._per[route.name],
            )
            for route in self._routes
        }

    def see(self, exchange: Exchange) -> None:
        if (watch := self._of(exchange)) is not None:
            watch.see(exchange)

    def judged(self, exchange: Exchange, judgement: Judgement) -> None:
        if (watch := self._of(exchange)) is not None:
            watch.judged(exchange, judgement)

    def act(self) -> None:
        self._found = {name: watch.found() for name, watch in self._watches.items()}

    def tell(self) -> None:
        for route, found in self._found.items():
            for drift in found:
                self._metrics.drifted(route, drift)

    def _of(self, exchange: Exchange) -> DriftWatch | None:
        """Of the release that serves, and of what came after the reference."""
        held = self._held.get(exchange.route)
        if held is None or exchange.release != held.release:
            return None
        if held.reference is not None and exchange.ts < held.reference.taken_s:
            return None
        return self._watches[exchange.route]
