"""The picture as rows of text: the same in the live page and on paper."""

from gateway.top.picture import Picture, RouteLine, State, UpstreamLine

ROUTE_COLUMNS = (
    *("route", "req/s", "errors", "student", "p50", "p95", "first token", "confidence"),
    *("$/h", "why"),
)
UPSTREAM_COLUMNS = ("upstream", "state", "in flight", "tokens/s")

_REASONS = 3
_NOTHING = "-"
_HOUR_S = 3600.0
_COLOURS = {State.UP: "green", State.ON_TRIAL: "yellow", State.DOWN: "red"}


def head(picture: Picture) -> str:
    """One line on the whole gateway."""
    parts = [
        f"{picture.per_s:.1f} req/s over {picture.seconds:.0f} s",
        f"{picture.failed_per_s:.2f}/s failed",
        f"{picture.refused_per_s:.2f}/s refused",
    ]
    if picture.own_s is not None:
        parts.append(f"own time {picture.own_s * 1e6:.0f} us")
    parts += _outcomes("traces", picture.traces) + _outcomes("shadow", picture.shadows)
    return "  ·  ".join(parts)


def route_row(line: RouteLine) -> tuple[str, ...]:
    """In the order of ROUTE_COLUMNS."""
    return (
        line.route,
        f"{line.per_s:.1f}",
        _share(line.failed if line.per_s else None),
        _share(line.coverage),
        _time(line.median_s),
        _time(line.p95_s),
        _time(line.first_token_s),
        _NOTHING if line.confidence is None else f"{line.confidence:.2f}",
        f"{line.usd_per_s * _HOUR_S:.2f}",
        ", ".join(f"{reason} {share:.0%}" for reason, share in line.why[:_REASONS]) or _NOTHING,
    )


def upstream_row(line: UpstreamLine) -> tuple[str, ...]:
    """In the order of UPSTREAM_COLUMNS."""
    return (line.name, line.state, str(line.in_flight), f"{line.written_per_s:.1f}")


def colour(line: UpstreamLine) -> str:
    return _COLOURS[line.state]


def _outcomes(what: str, rates: dict[str, float]) -> list[str]:
    told = ", ".join(f"{name} {rate:.1f}/s" for name, rate in rates.items() if rate)
    return [f"{what}: {told}"] if told else []


def _share(share: float | None) -> str:
    return _NOTHING if share is None else f"{share:.1%}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
