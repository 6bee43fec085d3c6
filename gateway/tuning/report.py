"""Reads a route's traces, asks `router.tuning` for a threshold, prints what it says."""

import argparse
import os
import sys
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from rich.console import Console

from gateway.clock import SystemClock
from gateway.config import ConfigError, Route, Settings, load
from gateway.location import UnknownStore, default_state, default_store, store_path
from gateway.rulings import Ruling, Rulings, RulingsError
from gateway.traces.reading import SqliteReader
from gateway.traces.store import TraceStoreError
from gateway.tuning import chart, tables
from router.calibration import StaleCalibration
from router.deferral import NoContrast
from router.drift import Reference
from router.drift_watch import taken_from
from router.evidence import Record
from router.fitting import TooFewPairs
from router.sampling import rarest
from router.slices import UnknownSlicing
from router.tuning import NothingToTune, Score, Tuned, Wish, rehearse, tune

REFUSED = 3
"""The exit status where no threshold can be promised."""

_PIPE_WIDTH = 120
_TROUBLE = (
    ConfigError,
    NoContrast,
    NothingToTune,
    OSError,
    RulingsError,
    StaleCalibration,
    TooFewPairs,
    TraceStoreError,
    UnknownSlicing,
    UnknownStore,
)


def report(arguments: argparse.Namespace) -> int:
    """0; 2 where it cannot be done, 3 where no threshold can be promised."""
    try:
        route = _route(arguments)
        wish = _wish(arguments, route)
        records, release = _of_one_release(_records(arguments), arguments.release)
        if arguments.replay:
            _rehearse(arguments, records, wish)
            return 0
        label, window_tokens = (route.label, route.gate.window_tokens) if route else (None, 0)
        found = tune(arguments.route, records, wish, label=label, window_tokens=window_tokens)
        _show(arguments, found)
        if arguments.apply is not None and found.promise is not None and route is not None:
            _apply(arguments, found, found.promise.threshold, release, records)
    except _TROUBLE as trouble:
        sys.stderr.write(f"tutelage tune: {trouble}\n")
        return 2
    return 0 if found.promise is not None else REFUSED


def revert(arguments: argparse.Namespace) -> int:
    """0, or 2 where nothing can be put back."""
    try:
        _route(arguments)
        rulings = _rulings(load(arguments.config))
        back = rulings.revert(
            arguments.route, who=_who(), why=arguments.revert, now_s=SystemClock().unix_s()
        )
    except _TROUBLE as trouble:
        sys.stderr.write(f"tutelage tune: {trouble}\n")
        return 2
    sys.stderr.write(
        f"reverted: {back.route} rules by {_named(back.after)}, before by {_named(back.before)} "
        f"({rulings.path})\n"
    )
    return 0


def _rulings(settings: Settings) -> Rulings:
    return Rulings(store_path(settings.server.state or default_state(os.environ)))


def _who() -> str:
    return os.environ.get("USER") or f"uid {os.getuid()}"


def _named(ruling: Ruling | None) -> str:
    return f"{ruling.threshold:g}" if ruling is not None else "the config's"


def _route(arguments: argparse.Namespace) -> Route | None:
    """As configured; None without a config, which calibrations cannot do without."""
    if arguments.config is None:
        if arguments.score == Score.CALIBRATED:
            raise ConfigError("--score calibrated needs --config: a calibration belongs to a route")
        return None
    routes = load(arguments.config).routes
    if arguments.route not in routes:
        known = ", ".join(routes)
        raise ConfigError(f"{arguments.config}: no route {arguments.route!r}; there is {known}")
    return routes[arguments.route]


def _wish(arguments: argparse.Namespace, route: Route | None) -> Wish:
    first = route.compare[0].value if route is not None else None
    return Wish(
        max_risk=arguments.max_risk,
        delta=arguments.delta,
        teacher_share=arguments.teacher_share,
        budget_usd=arguments.budget,
        score=Score(arguments.score),
        comparator=arguments.comparator or first,
        slice_by=arguments.slice_by,
    )


def _records(arguments: argparse.Namespace) -> list[Record]:
    since_s = SystemClock().unix_s() - arguments.since if arguments.since is not None else 0.0
    with SqliteReader(store_path(_store(arguments))) as reader:
        return list(reader.of_route(arguments.route, since_s=since_s))


def _of_one_release(records: list[Record], wished: str | None) -> tuple[list[Record], str | None]:
    """A threshold is one student's: of the wished release, else of the one that served last."""
    if wished is None and records:
        wished = records[-1][0].release
    return [each for each in records if each[0].release == wished], wished


def _store(arguments: argparse.Namespace) -> str:
    if arguments.store is not None:
        return str(arguments.store)
    named = load(arguments.config).traces.store if arguments.config is not None else None
    return named or default_store(os.environ)


def _rehearse(arguments: argparse.Namespace, records: list[Record], wish: Wish) -> None:
    played = rehearse(arguments.route, records, arguments.replay, wish)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(played).decode() + "\n")
    else:
        _console().print(tables.rehearsal(played))


def _show(arguments: argparse.Namespace, found: Tuned) -> None:
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        _console().print(tables.findings(found))
    if arguments.svg is not None:
        arguments.svg.write_text(chart.risk_by_coverage(found), encoding="utf-8")


def _apply(
    arguments: argparse.Namespace,
    found: Tuned,
    threshold: float,
    release: str | None,
    records: Sequence[Record],
) -> None:
    """Raises StaleCalibration where the traces are of another student than the config's."""
    settings = load(arguments.config)
    calibration = found.calibration
    if calibration is not None and release is not None:
        calibration = replace(calibration, release=release)
    if found.calibration is not None and release is None:
        route = settings.routes[found.route]
        found.calibration.must_fit(
            student=settings.upstreams[route.student].model,
            label=route.label,
            window_tokens=route.gate.window_tokens,
        )
    rulings, now_s = _rulings(settings), SystemClock().unix_s()
    applied = rulings.apply(
        found.route,
        Ruling(threshold, calibration, _reference(settings.routes[found.route], records, now_s)),
        who=_who(),
        why=arguments.apply,
        now_s=now_s,
        release=release,
    )
    whose = f" with release {release}" if release is not None else ""
    sys.stderr.write(
        f"applied: {found.route}{whose} rules by {threshold:g}, before by {_named(applied.before)} "
        f"({rulings.path})\n"
    )


def _reference(route: Route, records: Sequence[Record], now_s: float) -> Reference:
    """What traffic is held to from now on, as the gateway of this config will see it."""
    shadow = route.shadow
    return taken_from(
        records,
        comparator=route.compare[0].value,
        rarest=rarest(shadow.sampler, rate=shadow.rate, floor=shadow.floor),
        now_s=now_s,
    )


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
