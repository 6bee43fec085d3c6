"""Which traces are taken out of a store: the filters of `tutelage traces export`."""

from dataclasses import dataclass

from gateway.traces.keys import first_key
from router.trace import Reason, ServedBy


@dataclass(frozen=True, slots=True)
class Selection:
    """None: whatever it is. since_s, until_s: unix seconds of arrival; until_s itself is out."""

    route: str | None = None
    reason: Reason | None = None
    served_by: ServedBy | None = None
    since_s: float = 0.0
    until_s: float | None = None

    def values(self) -> dict[str, object]:
        """As the store's queries name them."""
        return {
            "route": self.route,
            "reason": self.reason,
            "served_by": self.served_by,
            "since": first_key(self.since_s),
            "until": None if self.until_s is None else first_key(self.until_s),
        }
