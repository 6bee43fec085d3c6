"""The watch of a gateway, with what it is to keep an eye on, made from the settings."""

from pathlib import Path

from gateway.config import Settings
from gateway.drifting import Drifting
from gateway.rulings import Rulings
from gateway.services import Services
from gateway.watching import Watch


def make_watch(on: Services, settings: Settings, *, store: Path, state: Path) -> Watch:
    rulings = Rulings(state)
    drifting = Drifting(
        on.routes,
        rulings,
        on.metrics,
        per={name: route.drift.false_alarm_every for name, route in settings.routes.items()},
    )
    return Watch(store, state.with_name(f"{state.name}.watch"), [drifting])
