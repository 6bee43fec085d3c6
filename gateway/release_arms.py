"""A route as one release would have it: its student, its threshold, its calibration, together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gateway.release_state import Facts, Standing
from gateway.route import Route
from gateway.upstream import Upstream
from router.calibration import Calibration, StaleCalibration
from router.gate import Signal

_CALIBRATED = "calibrated"

Connect = Callable[[str, str, str], Upstream]
"""(the upstream's name in the config, base_url, model): the same settings, another engine."""


class UnfitRelease(StaleCalibration):
    """Its threshold or calibration is not its own student's, or not for this route."""


class ReleaseArms:
    """Made once and kept: an engine's breaker and connections outlive a change of shares."""

    def __init__(self, configured: Iterable[Route], connect: Connect) -> None:
        self.configured: Mapping[str, Route] = {route.name: route for route in configured}
        self._connect = connect
        self._upstreams: dict[tuple[str, str, str], Upstream] = {}
        self._arms: dict[tuple[str, str, str], tuple[Standing, Route]] = {}

    def urls(self, name: str) -> tuple[str, ...]:
        """What the config has for the route's student."""
        return tuple(each.base_url for each in self.configured[name].student.replicas.all)

    def arm(self, name: str, standing: Standing) -> Route:
        """Raises UnfitRelease."""
        key = (name, standing.release, standing.base_url)
        known = self._arms.get(key)
        if known is not None and known[0] == standing:
            return known[1]
        made = self._make(self.configured[name], standing)
        self._arms[key] = (standing, made)
        return made

    def _make(self, route: Route, standing: Standing) -> Route:
        signal, threshold = _rule(route, standing)
        student = self._student(route, standing)
        verify = route.verify
        if verify is not None and student is not route.student:
            verify = replace(verify, student=student)  # another pair, to be examined anew
        return replace(
            route,
            student=student,
            release=standing.release or route.release,
            signal=signal,
            threshold=threshold,
            verify=verify,
        )

    def _student(self, route: Route, standing: Standing) -> Upstream:
        known = route.student
        if (standing.base_url, standing.model) == (standing.stands_for, known.model):
            return known
        key = (known.name, standing.base_url, standing.model)
        if key not in self._upstreams:
            self._upstreams[key] = self._connect(*key)
        return self._upstreams[key]


def _rule(route: Route, standing: Standing) -> tuple[Signal | Calibration, float]:
    """The release's own; the route's where the release has none. Raises UnfitRelease."""
    release, facts = standing.release, standing.facts
    if facts.gate is None:
        return route.signal, route.threshold
    gate = facts.gate
    for what, ours, theirs in (
        ("label", gate.label, route.label),
        ("gate.window_tokens", gate.window_tokens, route.window_tokens),
    ):
        if ours != theirs:
            raise UnfitRelease(
                f"release {release}: its threshold was chosen with {what} = {ours!r}, route "
                f"{route.name} has {theirs!r}"
            )
    if gate.signal == _CALIBRATED:
        return _own_calibration(route, release, facts), gate.threshold
    if gate.signal not in set(Signal):
        raise UnfitRelease(f"release {release}: there is no signal {gate.signal!r}")
    return Signal(gate.signal), gate.threshold


def _own_calibration(route: Route, release: str, facts: Facts) -> Calibration:
    calibration = facts.calibration
    if calibration is None:
        raise UnfitRelease(f"release {release}: signal: {_CALIBRATED!r} needs a calibration")
    if facts.student_sha256 is None or calibration.student_sha256 != facts.student_sha256:
        raise UnfitRelease(
            f"release {release}: its calibration was fitted on student "
            f"{calibration.student_sha256}, it holds student {facts.student_sha256}"
        )
    try:
        calibration.must_fit(
            student=route.student.model, label=route.label, window_tokens=route.window_tokens
        )
    except StaleCalibration as stale:
        raise UnfitRelease(f"release {release}: {stale}") from stale
    return calibration
