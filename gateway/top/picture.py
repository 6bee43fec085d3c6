"""What people ask of a gateway: how many, by whom, why, how long, which engine."""

import math
from dataclasses import dataclass
from enum import StrEnum

from gateway.top.window import Window

_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_NOBODY = "none"


class State(StrEnum):
    """What `tutelage_upstream_state` says."""

    UP = "up"
    ON_TRIAL = "on trial"
    DOWN = "down"


_STATES = (State.UP, State.ON_TRIAL, State.DOWN)


@dataclass(frozen=True, slots=True)
class RouteLine:
    """failed: share with a status of 400 and more. coverage: the student's share of what was
    served. why: reasons by their share, commonest first.
    """

    route: str
    per_s: float
    failed: float
    coverage: float | None
    why: tuple[tuple[str, float], ...]
    median_s: float | None
    p95_s: float | None
    first_token_s: float | None
    confidence: float | None
    usd_per_s: float


@dataclass(frozen=True, slots=True)
class UpstreamLine:
    name: str
    state: State
    in_flight: int
    written_per_s: float
    """Tokens."""


@dataclass(frozen=True, slots=True)
class Picture:
    """per_s: requests, those included that were refused before they had a route.

    own_s: our own time in a request, all stages, on average. traces, shadows: records a second by
    what became of them.
    """

    seconds: float
    per_s: float
    refused_per_s: float
    failed_per_s: float
    own_s: float | None
    routes: tuple[RouteLine, ...]
    upstreams: tuple[UpstreamLine, ...]
    traces: dict[str, float]
    shadows: dict[str, float]


def picture(window: Window) -> Picture:
    """Rates are 0 until there are two looks."""
    seconds = window.seconds or math.inf
    statuses = window.grown("tutelage_requests_total", "status")
    refused = window.total("tutelage_requests_total", route=_NOBODY)
    routes = set(window.now("tutelage_requests_total", "route")) - {_NOBODY}
    return Picture(
        seconds=window.seconds,
        per_s=math.fsum(statuses.values()) / seconds,
        refused_per_s=refused / seconds,
        failed_per_s=_at_least(statuses, _SERVER_ERROR) / seconds,
        own_s=_own_s(window),
        routes=tuple(_route(window, name, seconds) for name in sorted(routes)),
        upstreams=tuple(_upstreams(window, seconds)),
        traces=_rates(window.grown("tutelage_traces_total", "outcome"), seconds),
        shadows=_rates(window.grown("tutelage_shadow_total", "outcome"), seconds),
    )


def _route(window: Window, route: str, seconds: float) -> RouteLine:
    by_whom = window.grown("tutelage_requests_total", "served_by", route=route)
    reasons = window.grown("tutelage_requests_total", "reason", route=route)
    statuses = window.grown("tutelage_requests_total", "status", route=route)
    count = math.fsum(by_whom.values())
    served = count - by_whom.get(_NOBODY, 0.0)
    often = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    seconds_of = "tutelage_request_seconds"
    return RouteLine(
        route=route,
        per_s=count / seconds,
        failed=_at_least(statuses, _CLIENT_ERROR) / count if count else 0.0,
        coverage=by_whom.get("student", 0.0) / served if served else None,
        why=tuple((reason, more / count) for reason, more in often if more) if count else (),
        median_s=window.quantile(0.5, seconds_of, route=route),
        p95_s=window.quantile(0.95, seconds_of, route=route),
        first_token_s=window.quantile(0.5, "tutelage_time_to_first_token_seconds", route=route),
        confidence=window.quantile(0.5, "tutelage_confidence", route=route),
        usd_per_s=window.total("tutelage_cost_usd_total", route=route) / seconds,
    )


def _upstreams(window: Window, seconds: float) -> list[UpstreamLine]:
    states = window.now("tutelage_upstream_state", "upstream")
    busy = window.now("tutelage_in_flight", "upstream")
    written = window.grown("tutelage_tokens_total", "upstream", direction="output")
    return [
        UpstreamLine(
            name=name,
            state=_STATES[min(int(state), len(_STATES) - 1)],
            in_flight=round(busy.get(name, 0.0)),
            written_per_s=written.get(name, 0.0) / seconds,
        )
        for name, state in sorted(states.items())
    ]


def _own_s(window: Window) -> float | None:
    """Stages follow each other, so their means add up."""
    sums = window.grown("tutelage_overhead_seconds_sum", "stage")
    counts = window.grown("tutelage_overhead_seconds_count", "stage")
    means = [total / counts[stage] for stage, total in sums.items() if counts.get(stage)]
    return math.fsum(means) if means else None


def _at_least(statuses: dict[str, float], lowest: int) -> float:
    return math.fsum(more for status, more in statuses.items() if int(status) >= lowest)


def _rates(counts: dict[str, float], seconds: float) -> dict[str, float]:
    return {name: count / seconds for name, count in sorted(counts.items())}
