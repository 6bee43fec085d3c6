"""A candidate's share of a route: which requests its student and its gate get."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateway.affinity import Affinity, affinity_of
from gateway.wire import Asked
from router.policy import Mode, Plan
from router.sampling import is_sampled
from router.trace import Reason

if TYPE_CHECKING:
    from gateway.route import Route

_ASKS = frozenset({Mode.CASCADE, Mode.STUDENT})
"""A student of the route itself, that is."""


@dataclass(frozen=True, slots=True)
class Canary:
    """share: in [0, 1], of the users where requests name one, else of the requests. A larger share
    keeps whom a smaller one took.
    """

    share: float
    route: "Route"
    """The same route, served by the candidate."""

    def draw(
        self, incumbent: "Route", planned: Plan, asked: Asked, trace_id: str
    ) -> tuple["Route", Plan]:
        """Who serves this request, whole: one release's student, its calibration, its threshold.

        Left to the incumbent: what no student answers, vectors and token ids (those of two models
        do not go together), and what goes on from a response that the incumbent keeps.
        """
        if planned.mode not in _ASKS or not asked.generates or asked.held_at is not None:
            return incumbent, planned
        user = affinity_of(Affinity.USER, asked.fields)
        who = user.decode(errors="replace") if user is not None else trace_id
        if not is_sampled(who, self.share, salt=f"canary {self.route.name} {self.route.release}"):
            return incumbent, planned
        if planned.mode is Mode.STUDENT and not planned.pinned:
            planned = replace(planned, reason=Reason.CANARY)
        return self.route, planned
