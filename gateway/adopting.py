"""Puts applied thresholds in force in a gateway that runs, and says so in its log."""

import logging
from datetime import UTC, datetime

from gateway.route import RouteTable
from gateway.rulings import Applied, Rulings, RulingsError
from router.calibration import StaleCalibration

log = logging.getLogger(__name__)


class Adopting:
    """Owned by one worker. Requests that are under way end by the rule they began with."""

    def __init__(self, rulings: Rulings, routes: RouteTable) -> None:
        self._rulings = rulings
        self._routes = routes
        self._adopted: dict[tuple[str, str | None], Applied] = {}
        self._seen_ns: int | None = None
        self._trouble: str | None = None

    def start(self) -> None:
        """Raises RulingsError for a file that is none, StaleCalibration for one that does not fit:
        better no gateway than one whose confidence means something else.
        """
        self._rulings.make()
        self._adopt_all()

    def look(self) -> None:
        """Once a second. What cannot be adopted leaves the rule that is in force."""
        try:
            changed_ns = self._rulings.path.stat().st_mtime_ns
            if changed_ns == self._seen_ns:
                return
            self._adopt_all()
        except (OSError, RulingsError, StaleCalibration) as error:
            if str(error) != self._trouble:
                log.warning("thresholds stay as they were: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = None

    def _adopt_all(self) -> None:
        # Before reading: what is applied meanwhile is found the next time.
        seen_ns = self._rulings.path.stat().st_mtime_ns
        for applied in self._rulings.in_force():
            key = (applied.route, applied.release)
            if self._adopted.get(key) == applied or applied.route not in self._routes:
                continue
            after = applied.after
            threshold = after.threshold if after is not None else None
            calibration = after.calibration if after is not None else None
            serves = self._routes.adopt(applied.route, threshold, calibration, applied.release)
            self._adopted[key] = applied
            whose = f"release {applied.release}" if applied.release else "a student without release"
            log.warning(
                "route %s: threshold %s%s, applied by %s on %s: %s",
                applied.route,
                "of the config" if threshold is None else f"{threshold:g}",
                "" if serves else f", not in force: it is of {whose}, which does not serve now",
                applied.who,
                datetime.fromtimestamp(applied.applied_s, UTC).strftime("%Y-%m-%d %H:%M UTC"),
                applied.why,
            )
        self._seen_ns = seen_ns
