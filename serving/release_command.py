"""`tutelage releases`: add, ls, show, promote, rollback, log."""

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError
from rich.console import Console

from serving.deployment import state_file
from serving.errors import ServingError
from serving.home import Home
from serving.release import Gate
from serving.release_moves import promoted, rolled_back, told
from serving.release_state import ReleaseState, Standing, Wanted
from serving.release_table import changes_table, in_words, releases_table
from serving.releases import CannotRelease, Draft, Releases
from serving.roster import is_alive

_LOOK_EVERY_S = 0.2
_TAKEN_UP_WITHIN_S = 5.0
"""A running `tutelage up` looks twice a second."""


def run(asked: argparse.Namespace, *, env: Mapping[str, str], console: Console) -> int:
    """0; 1 after an error, which is printed."""
    home = Home.of(env)
    try:
        state = ReleaseState(state_file(getattr(asked, "config", None), home))
        desk = _Desk(Releases(home.releases), state, env, console)
        getattr(desk, asked.action)(asked)
    except ServingError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class _Desk:
    """A method for each action."""

    releases: Releases
    state: ReleaseState
    env: Mapping[str, str]
    console: Console

    def add(self, asked: argparse.Namespace) -> None:
        draft = Draft(
            name=asked.name,
            weights=asked.weights,
            adapter=asked.adapter,
            quantization=asked.quantization,
            gate=_gate(asked),
            calibration=asked.calibration,
            provenance=_provenance(asked.provenance),
        )
        self._say(self.releases.add(draft, link=asked.link).id)

    def ls(self, _: argparse.Namespace) -> None:
        found = list(self.releases.all())
        if not found:
            self._say(
                "no release yet; `tutelage up` makes one of the shipped student, "
                "and `tutelage releases add` of yours"
            )
            return
        standing = self._alive()
        wanted = _shown(self.state.wanted(), standing)
        self.console.print(releases_table(found, wanted=wanted, standing=standing))

    def show(self, asked: argparse.Namespace) -> None:
        release = self.releases.get(asked.release)
        manifest = release.manifest
        if asked.json:
            self._say(manifest.model_dump_json())
            return
        self._say(
            f"{release.id}: {release.bytes:,} bytes, every one as released\n"
            f"in {release.folder}\n{manifest.model_dump_json(indent=2)}"
        )

    def promote(self, asked: argparse.Namespace) -> None:
        release = self.releases.get(asked.release).id if asked.release is not None else None
        now = self.state.wanted().get(asked.route, Wanted())
        self._change(
            asked, promoted(now, asked.route, release, share=asked.share, kept_s=asked.keep)
        )

    def rollback(self, asked: argparse.Namespace) -> None:
        now = self.state.wanted().get(asked.route, Wanted())
        self._change(asked, rolled_back(now, asked.route, self.state.changes(asked.route)))

    def log(self, asked: argparse.Namespace) -> None:
        self.console.print(changes_table(self.state.changes(asked.route)))

    def _change(self, asked: argparse.Namespace, after: Wanted) -> None:
        """The row, then the link, then waiting for whoever runs the engines."""
        who = self.env.get("USER") or f"uid {os.getuid()}"
        now_s = datetime.now(UTC).timestamp()
        self.state.forgive(after.candidate or after.current)
        self.state.change(asked.route, after, who=who, why=asked.why, now_s=now_s)
        self.releases.point(asked.route, after.current)
        self._say(f"route {asked.route}: wanted is {in_words(after)}")
        if asked.wait > 0:
            self._wait(asked.route, after.candidate or after.current, within_s=asked.wait)

    def _wait(self, route: str, release: str | None, *, within_s: float) -> None:
        """Until its engine stands. Raises `CannotRelease` when it failed or was not in time."""
        began = time.monotonic()
        while (waited_s := time.monotonic() - began) < within_s:
            engine = next((each for each in self._alive() if _is_it(each, route, release)), None)
            if engine is None and waited_s > _TAKEN_UP_WITHIN_S:
                self._say(
                    f"no `tutelage up` that runs here has an engine for route {route}: it takes "
                    "effect when one starts"
                )
                return
            if engine is not None and engine.state == "ready":
                self._say(f"{told(release)} stands on {engine.base_url}; gateways follow in 2 s")
                return
            if engine is not None and engine.state == "failed":
                raise CannotRelease(f"release {release}: {engine.note}; who served goes on")
            time.sleep(_LOOK_EVERY_S)
        raise CannotRelease(f"{told(release)}: not ready after {within_s:g} s; it goes on starting")

    def _alive(self) -> list[Standing]:
        return [each for each in self.state.standing() if is_alive(each.up_pid)]

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def _is_it(engine: Standing, route: str, release: str | None) -> bool:
    """release: None is the config's own of that route."""
    return route in engine.configured_for if release is None else engine.release == release


def _shown(wanted: Mapping[str, Wanted], standing: list[Standing]) -> dict[str, Wanted]:
    """What is wanted, the engines of the configs called by the releases that they are."""
    found = dict(wanted)
    for engine in standing:
        for route in engine.configured_for:
            wish = found.get(route, Wanted())
            if wish.current is None and engine.release:
                found[route] = wish.model_copy(update={"current": engine.release})
    return found


def _gate(asked: argparse.Namespace) -> Gate | None:
    if asked.threshold is None:
        if asked.calibration is not None:
            raise CannotRelease("--calibration: give the --threshold that was chosen with it, too")
        return None
    try:
        return Gate(
            threshold=asked.threshold,
            signal=asked.signal or ("calibrated" if asked.calibration else "mean_probability"),
            label=asked.label,
            window_tokens=asked.window,
        )
    except ValidationError as error:
        raise CannotRelease(f"the gate: {error.errors()[0]['msg']}") from error


def _provenance(path: Path | None) -> Mapping[str, JsonValue]:
    if path is None:
        return {}
    try:
        return _OBJECT.validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise CannotRelease(f"{path}: provenance is one JSON object: {error}") from error


_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
