"""Puts releases in and out of service while all goes on: the engines behind `tutelage releases`.

    wanted (`release_state`) -> start beside the incumbent -> ready, by a real completion
      -> noted as standing: gateways send it its share -> nobody wants the one before any more,
      and it has nothing left to do -> stopped

Owned by `tutelage up` and `engines up`; a thread looks twice a second. One that cannot be started
changes nothing for clients: what was wanted before is wanted again, with the reason.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import JsonValue

from serving.busy import read_under_way
from serving.deployment import Deployment
from serving.engine import Engine
from serving.errors import ServingError
from serving.release import Release
from serving.release_state import Change, ReleaseState, Standing, Wanted
from serving.releases import Releases
from serving.rollout_plan import Seat, beside, by_route, model_of, seats_of, spec_for
from serving.roster import is_alive
from serving.running import Running
from serving.screen import Screen
from serving.spec import EngineSpec
from serving.supervisor import State, Supervisor

EVERY_S = 0.5
FOLLOWED_S = 3.0
"""Gateways follow within 2 s: so long after it was wanted last, nobody sends it anything new."""
MOST_DRAIN_S = 300.0


def as_current(deployment: Deployment, releases: Releases, state: ReleaseState) -> Deployment:
    """With the students that are current in the config's engines.

    Raises `ServingError` for a release that is damaged or gone.
    """
    seats: dict[str, Seat] = {}
    for seat in seats_of(deployment):
        seats.setdefault(seat.stands_for, seat)
    engines = []
    for spec in deployment.engines:
        if (found := seats.get(spec.base_url)) is not None:
            current = found.wants(state.changes(found.route)).current or ""
            release = _release(releases, found, current)
            engines.append(spec if release is None else spec_for(spec, release))
        else:
            engines.append(spec)
    return deployment.model_copy(update={"engines": tuple(engines)})


Key = tuple[str, str]
"""The base_url that it stands for, and its release."""


@dataclass(slots=True)
class _Place:
    """An engine in service, coming or going. needless_s: since when nobody wants it (monotonic)."""

    engine: Engine
    model: str
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    told: str = ""
    needless_s: float | None = None


@dataclass(slots=True)
class Rollout:
    """make: an engine of a spec, as this deployment makes them."""

    seats: Sequence[Seat]
    releases: Releases
    state: ReleaseState
    supervisor: Supervisor
    running: Running
    make: Callable[[EngineSpec], Engine]
    screen: Screen
    under_way: Callable[[str], float | None] = read_under_way
    clock: Callable[[], float] = time.monotonic
    now_s: Callable[[], float] = lambda: datetime.now(UTC).timestamp()
    _places: dict[Key, _Place] = field(default_factory=dict)
    _failed: dict[Key, int] = field(default_factory=dict)
    """And how many changes there were then: after another one it is tried again."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _trouble: str = ""

    def begin(self, engines: Sequence[Engine]) -> None:
        """The config's engines are ready. A gateway that starts now knows what they are."""
        for each in self.state.standing():
            if not is_alive(each.up_pid):
                self.state.gone(each.up_pid)
        for seat in self.seats:
            current = seat.wants(self._changes(seat)).current or ""
            found = [each for each in engines if each.spec.base_url == seat.stands_for]
            if not found or any(key[0] == seat.stands_for for key in self._places):
                continue
            release = _release(self.releases, seat, current, contents=False)  # read just now
            place = _Place(found[0], model_of(seat.spec, release), _facts(release))
            self._places[seat.stands_for, current] = place
            self._tell((seat.stands_for, current), place, "ready")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._keep, name="rollout")
        self._thread.start()

    def stop(self) -> None:
        """What it started is the supervisor's to stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self.state.gone(os.getpid())

    def step(self) -> None:
        """One look: start what is wanted, tell who is ready, let go what is not wanted."""
        all_changes = self.state.changes()
        changes = by_route(all_changes)
        now_s = self.now_s()
        wanted: dict[Key, Seat] = {}
        for seat in self.seats:
            for release in seat.needs(changes.get(seat.route, []), now_s):
                wanted.setdefault((seat.stands_for, release), seat)
        for key, seat in wanted.items():
            if key not in self._places and self._failed.get(key) != len(all_changes):
                self._bring(key, seat)
        states = self.supervisor.states
        for key, place in list(self._places.items()):
            if key in wanted:
                place.needless_s = None
                self._watch(key, place, states.get(place.engine.name))
            else:
                self._let_go(key, place)

    def _keep(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.step()
            except ServingError as error:  # the state file: said once, tried again
                if str(error) != self._trouble:
                    self.screen.say(f"releases: {error}")
                self._trouble = str(error)

    def _changes(self, seat: Seat) -> list[Change]:
        return self.state.changes(seat.route)

    def _bring(self, key: Key, seat: Seat) -> None:
        stands_for, name = key
        try:
            release = _release(self.releases, seat, name)
            spec = beside(seat.spec if release is None else spec_for(seat.spec, release), name)
            if spec.name in self.supervisor.states:
                return  # its last run is about to end: at the next look
            engine = self.make(spec)
        except ServingError as error:
            self._fail(key, str(error))
            return
        place = _Place(engine, model_of(spec, release), _facts(release))
        self._places[stands_for, name] = place
        self.screen.say(f"release {name or 'of the config'}: starting engine {engine.name}")
        self._tell(key, place, "starting")
        self.running.joined(engine)
        self.supervisor.also(engine)

    def _watch(self, key: Key, place: _Place, state: State | None) -> None:
        if state is State.FAILED:
            del self._places[key]
            trouble = self.supervisor.trouble(place.engine.name)
            self.supervisor.retire(place.engine.name)
            self.running.left(place.engine.name)
            self._fail(key, trouble)
        elif place.told == "" or (place.told == "starting" and state is State.READY):
            if place.told == "starting":
                self.screen.say(f"release {key[1] or 'of the config'}: ready for its share")
            self._tell(key, place, "ready")

    def _let_go(self, key: Key, place: _Place) -> None:
        """Its requests in flight end first, for `MOST_DRAIN_S` at most."""
        if place.needless_s is None:
            place.needless_s, place.told = self.clock(), ""
            self.state.gone(os.getpid(), *key)
        idle_s = self.clock() - place.needless_s
        if idle_s < FOLLOWED_S:
            return
        if idle_s < MOST_DRAIN_S and (self.under_way(place.engine.spec.url) or 0.0) > 0.0:
            return
        del self._places[key]
        self.screen.say(f"release {key[1] or 'of the config'}: stopping engine {place.engine.name}")
        threading.Thread(target=self._retire, args=(place.engine.name,)).start()

    def _retire(self, name: str) -> None:
        self.supervisor.retire(name)
        self.running.left(name)

    def _fail(self, key: Key, trouble: str) -> None:
        """Noted; and where somebody's change asked for it, that is taken back."""
        stands_for, release = key
        changes = self.state.changes()
        self._failed[key] = len(changes)
        note = trouble.partition("\n")[0]
        self.screen.say(f"release {release}: {note}")
        self.state.stand(
            Standing(
                stands_for=stands_for,
                release=release,
                base_url=stands_for,
                model="",
                state="failed",
                note=note,
                up_pid=os.getpid(),
            )
        )
        for seat in self.seats:
            mine = by_route(changes).get(seat.route, [])
            if seat.stands_for == stands_for and mine and (back := _taken_back(mine[-1], release)):
                why = f"{release} could not be started: {note}"
                self.state.change(seat.route, back, who="tutelage up", why=why, now_s=self.now_s())
                self.releases.point(seat.route, back.current)

    def _tell(self, key: Key, place: _Place, state: str) -> None:
        stands_for, release = key
        place.told = state
        self.state.stand(
            Standing(
                stands_for=stands_for,
                release=release,
                base_url=place.engine.spec.base_url,
                model=place.model,
                state=state,
                up_pid=os.getpid(),
                configured_for=tuple(
                    seat.route
                    for seat in self.seats
                    if (seat.stands_for, seat.release) == (stands_for, release)
                ),
                facts=dict(place.facts),
            )
        )


def _release(releases: Releases, seat: Seat, name: str, *, contents: bool = True) -> Release | None:
    """None is the config's own engine."""
    return None if name == seat.release else releases.get(name, contents=contents)


def _facts(release: Release | None) -> Mapping[str, JsonValue]:
    return release.facts() if release is not None else {}


def _taken_back(change: Change, release: str) -> Wanted | None:
    """What was wanted before `release` was; None where it is not what the change brought."""
    after, before = change.after, change.before or Wanted()
    if after.candidate == release:
        return after.model_copy(update={"candidate": None, "share": 0.0})
    if after.current == release and before.current != release:
        return Wanted(current=before.current, kept_s=after.kept_s)
    return None
