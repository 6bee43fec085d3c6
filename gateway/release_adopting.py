"""Puts releases in force in a gateway that runs: whom its requests go to from now on."""

import logging
from collections.abc import Callable, Mapping

from gateway.config import Settings
from gateway.release_arms import ReleaseArms, UnfitRelease
from gateway.release_state import ReleaseState, Standing, Wanted
from gateway.route import Route, RouteTable
from gateway.rulings import RulingsError

log = logging.getLogger(__name__)

Tell = Callable[[str, str, str, bool], None]
"""(route, release, role, whether it has it now): for `tutelage_release_info`."""


def canaries(settings: Settings) -> dict[str, Wanted]:
    """What the config itself wants, by route."""
    return {
        name: Wanted(candidate=route.canary.release, share=route.canary.share)
        for name, route in settings.routes.items()
        if route.canary is not None
    }


class ReleaseAdopting:
    """Owned by one worker. Requests that are under way end with the release they began with.

    unless: what is wanted of a route as long as nobody has changed it: the config's canary.
    """

    def __init__(
        self,
        state: ReleaseState,
        routes: RouteTable,
        arms: ReleaseArms,
        *,
        unless: Mapping[str, Wanted],
        tell: Tell,
    ) -> None:
        self._state = state
        self._routes = routes
        self._arms = arms
        self._unless = unless
        self._tell = tell
        self._seen_ns: int | None = None
        self._said: dict[str, str] = {}
        self._present: dict[str, str] = {}
        self._roles: set[tuple[str, str, str]] = set()

    def start(self) -> None:
        """Raises RulingsError for a file that is none, UnfitRelease where the release that is to
        serve does not fit: better no gateway than one whose confidence means something else.
        """
        self._adopt(starting=True)

    def look(self) -> None:
        """Once a second. What cannot be adopted leaves what is in force."""
        try:
            if self._changed_ns() != self._seen_ns:
                self._adopt(starting=False)
        except RulingsError as error:
            self._say("", f"releases stay as they were: {error}")

    def _changed_ns(self) -> int | None:
        try:
            return self._state.path.stat().st_mtime_ns
        except OSError:
            return None

    def _adopt(self, *, starting: bool) -> None:
        # Before reading: what changes meanwhile is found the next time.
        seen_ns = self._changed_ns()
        wanted, standing = self._state.read() if seen_ns is not None else ({}, [])
        roles: set[tuple[str, str, str]] = set()
        for name, configured in self._arms.configured.items():
            wish = wanted.get(name) or self._unless.get(name) or Wanted()
            urls = self._arms.urls(name)
            mine = {each.release: each for each in standing if each.stands_for in urls}
            current = wish.current or configured.release or ""
            try:
                incumbent = self._incumbent(name, current, mine)
            except UnfitRelease as unfit:
                if starting:
                    raise
                self._say(name, f"route {name}: who serves goes on: {unfit}")
                roles.add((name, current, "refused"))
                incumbent = None
            candidate = self._candidate(name, wish, mine, roles)
            self._routes.stand(name, incumbent, candidate, wish.share)
            in_force = self._routes.find(name)[0]
            if in_force.release is not None:
                roles.add((name, in_force.release, "incumbent"))
            if candidate is not None and candidate.release is not None:
                roles.add((name, candidate.release, "candidate"))
            self._log(name, in_force)
        for gone in self._roles - roles:
            self._tell(*gone, False)  # noqa: FBT003 - the callback's last word
        for here in roles - self._roles:
            self._tell(*here, True)  # noqa: FBT003
        self._roles, self._seen_ns = roles, seen_ns

    def _incumbent(self, name: str, current: str, mine: Mapping[str, Standing]) -> Route:
        """The one that is wanted; as long as it does not stand, who serves now, or whoever does."""
        standing = mine.get(current)
        if standing is None:
            standing = mine.get(self._present.get(name, ""))
        if standing is None:
            at_home = [each for each in mine.values() if each.base_url == each.stands_for]
            standing = next(iter((*at_home, *mine.values())), None)
        if standing is None:
            return self._arms.configured[name]
        arm = self._arms.arm(name, standing)
        self._present[name] = standing.release
        return arm

    def _candidate(
        self,
        name: str,
        wish: Wanted,
        mine: Mapping[str, Standing],
        roles: set[tuple[str, str, str]],
    ) -> Route | None:
        if wish.candidate is None or wish.share <= 0.0 or wish.candidate not in mine:
            return None
        try:
            return self._arms.arm(name, mine[wish.candidate])
        except UnfitRelease as unfit:
            self._say(name, f"route {name}: no canary: {unfit}")
            roles.add((name, wish.candidate, "refused"))
            return None

    def _log(self, name: str, route: Route) -> None:
        canary = route.canary
        if route.release is None and canary is None:
            return
        besides = f", {canary.share:.1%} by {canary.route.release}" if canary is not None else ""
        url = route.student.replicas.all[0].base_url
        self._say(
            f"{name} in force", f"route {name}: served by release {route.release} at {url}{besides}"
        )

    def _say(self, about: str, what: str) -> None:
        """Once, until something else is to be said about it."""
        if self._said.get(about) != what:
            log.warning("%s", what)
        self._said[about] = what
