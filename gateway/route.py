"""What a client's `model` stands for: a student, a teacher and the rule between them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gateway.canary import Canary
from gateway.errors import BadRequest, UnknownModel
from gateway.http import HeaderLines
from gateway.origin import Origin
from gateway.upstream import Upstream
from gateway.verify_pair import VerifyPair
from gateway.wire import Asked
from router.calibration import Calibration
from router.checks import Check
from router.cost import Price
from router.divergence import Comparator
from router.gate import GateRule, Signal
from router.json_fields import PLAIN, JsonRule
from router.name import Name
from router.policy import Mode, Pin
from router.sampling import Sampler
from router.trace import Reason


class Role(Name):
    STUDENT = "student"
    TEACHER = "teacher"

    @property
    def other(self) -> "Role":
        return Role.TEACHER if self is Role.STUDENT else Role.STUDENT


@dataclass(frozen=True, slots=True)
class Route:
    """`label` names the JSON field whose value is the decision; None: the whole answer is.

    `checks` make a student's answer a deferral, whatever its confidence, in this order.
    """

    name: str
    mode: Mode
    student: Upstream
    teacher: Upstream
    student_price: Price
    teacher_price: Price
    signal: Signal | Calibration
    threshold: float
    window_tokens: int
    label: str | None
    checks: tuple[Check, ...]
    comparators: tuple[Comparator, ...]
    shadow_rate: float
    shadow_max_in_flight: int
    shadow_sampler: Sampler = Sampler.UNIFORM
    shadow_floor: float = 0.0
    json_rule: JsonRule = PLAIN
    """When two JSON values are the same."""
    verify: VerifyPair | None = None
    """None: the teacher reads nothing of the student's."""
    release: str | None = None
    """Of the student, with its calibration and threshold; None where nobody named one."""
    confident: Reason = Reason.CONFIDENT
    """Why the student serves where the gate commits."""
    canary: Canary | None = None

    # Made once, and not for every answer:
    origins: dict[Role, Origin] = field(init=False, repr=False)
    header_lines: dict[tuple[Role, Reason], HeaderLines] = field(init=False, repr=False)
    """Who answers, and why, as the client is told."""
    _rules: tuple[GateRule, GateRule] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        release = b"x-tutelage-release: %b\r\n" % self.release.encode() if self.release else b""
        lines = {
            (role, reason): b"x-tutelage-served-by: %b\r\nx-tutelage-model: %b\r\n"
            b"x-tutelage-reason: %b\r\n%b"
            % (
                b"both" if reason in {Reason.VERIFIED, Reason.TAKEOVER} else role.encode(),
                self.upstream(role).model.encode(),
                reason.encode(),
                release,
            )
            for role in Role
            for reason in Reason
        }
        windows = (None, self.window_tokens)
        rules = (GateRule(self.signal, self.threshold, each, self.label) for each in windows)
        object.__setattr__(self, "origins", {role: Origin(self.name, role) for role in Role})
        object.__setattr__(self, "header_lines", lines)
        object.__setattr__(self, "_rules", tuple(rules))

    def upstream(self, role: Role) -> Upstream:
        return self.student if role is Role.STUDENT else self.teacher

    def rule(self, *, stream: bool) -> GateRule:
        """A stream is judged by its opening, a whole answer by all of it."""
        return self._rules[stream]


class RouteTable:
    """Looks up `support`, and the pins `support:student` and `support:teacher`."""

    def __init__(self, routes: list[Route]) -> None:
        self._configured = {route.name: route for route in routes}
        self._standing: dict[str, tuple[Route, Route | None, float]] = {
            route.name: (route, None, 0.0) for route in routes
        }
        self._rulings: dict[tuple[str, str | None], tuple[float, Calibration | None]] = {}
        self._routes = dict(self._configured)
        self._found: dict[str, tuple[Route, Pin | None]] = {}
        for route in routes:
            self._put(route)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())

    def __contains__(self, name: str) -> bool:
        return name in self._routes

    def in_force(self, upstream: str) -> Iterator[Upstream]:
        """Those that requests go to now under this name; a candidate's is one of them."""
        for route in self._routes.values():
            arms = (route,) if route.canary is None else (route, route.canary.route)
            for arm in arms:
                for each in (arm.student, arm.teacher):
                    if each.name == upstream:
                        yield each

    def adopt(
        self,
        name: str,
        threshold: float | None,
        calibration: Calibration | None,
        release: str | None = None,
    ) -> bool:
        """From now on this route rules so, wherever this release serves, and whether it does.

        threshold: None is the release's own, or the config's. Raises StaleCalibration.
        """
        route = self._configured[name]
        if calibration is not None:
            # A release says more of a student than what its engine calls it.
            student = route.student.model if release is None else calibration.student
            calibration.must_fit(
                student=student, label=route.label, window_tokens=route.window_tokens
            )
        self._rulings.pop((name, release), None)
        if threshold is not None:
            self._rulings[name, release] = (threshold, calibration)
        self._put_together(name)
        incumbent, candidate, _ = self._standing[name]
        return release == incumbent.release or (
            candidate is not None and release == candidate.release
        )

    def stand(
        self, name: str, incumbent: Route | None, candidate: Route | None, share: float
    ) -> None:
        """Who serves from now on; incumbent: None is who does. Requests under way go on as they
        began.
        """
        if incumbent is None:
            incumbent = self._standing[name][0]
        self._standing[name] = (incumbent, candidate, share)
        self._put_together(name)

    def _put_together(self, name: str) -> None:
        incumbent, candidate, share = self._standing[name]
        canary = None
        if candidate is not None:
            canary = Canary(share, replace(self._ruled(candidate), confident=Reason.CANARY))
        self._put(replace(self._ruled(incumbent), canary=canary))

    def _ruled(self, route: Route) -> Route:
        """By what was applied for its release. Without a calibration, by its own signal, which an
        earlier one may have taken over.
        """
        ruling = self._rulings.get((route.name, route.release))
        if ruling is None:
            return route
        threshold, calibration = ruling
        return replace(route, threshold=threshold, signal=calibration or route.signal)

    def _put(self, route: Route) -> None:
        self._routes[route.name] = route
        self._found[route.name] = (route, None)
        for pin in Pin:
            self._found[f"{route.name}:{pin.value}"] = (route, pin)

    @property
    def models(self) -> list[str]:
        return list(self._found)

    def find_for(self, asked: Asked) -> tuple[Route, Pin | None]:
        """The route, and the model that the client insists on or that holds what it goes on from.

        Raises UnknownModel or BadRequest.
        """
        found = self._found.get(asked.model)
        route, pin = self.find(asked.model) if found is None else found
        if (held := asked.held_at) is None:
            return route, pin
        if held.route != route.name or (pin is not None and pin.value != held.role):
            raise BadRequest(
                "previous_response_id",
                f"that response is at {held.route}:{held.role}, which is not {asked.model}; "
                f"ask model {held.route}",
            )
        return route, Pin(held.role)

    def find(self, model: str) -> tuple[Route, Pin | None]:
        """Raises UnknownModel, naming those that there are."""
        try:
            return self._found[model]
        except KeyError:
            raise UnknownModel(model, self.models) from None
