"""What a dashboard is made of: values that know nothing of Grafana's JSON."""

from dataclasses import dataclass, field
from enum import StrEnum

OURS = 'route=~"$route"'
"""The routes that are looked at, as a label matcher."""
RATE = "[$__rate_interval]"
"""The range of a rate: Grafana knows how often Prometheus scrapes."""


class Unit(StrEnum):
    """Grafana's names."""

    PER_S = "reqps"
    SECONDS = "s"
    SHARE = "percentunit"
    NUMBER = "short"
    USD = "currencyUSD"


class Look(StrEnum):
    LINES = "lines"
    STACKED = "stacked"
    FIGURE = "figure"
    """One number, of now."""


@dataclass(frozen=True, slots=True)
class Query:
    """expr: PromQL; `$route` and `$__rate_interval` are Grafana's. legend: with `{{label}}`s."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Limits:
    """From `warn` on a value is orange, from `bad` on red; the other way round if `warn` is the
    larger one.
    """

    warn: float
    bad: float


@dataclass(frozen=True, slots=True)
class Panel:
    """about: what it answers and what to make of it. width: of 24 columns."""

    title: str
    about: str
    unit: Unit
    queries: tuple[Query, ...]
    look: Look = Look.LINES
    limits: Limits | None = None
    width: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """uid: of its URL, for ever. by_route: has the variable `$route`."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...] = field(default=())
    by_route: bool = True

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(panel for row in self.rows for panel in row.panels)
