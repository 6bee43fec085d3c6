"""What Prometheus has for a panel's queries over a stretch of time, by its HTTP API."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from grafana.board import Query

_POINTS: Final = 240
"""A line's resolution."""
_SCRAPES_OF_A_RATE: Final = 4


class NoHistory(Exception):
    """Prometheus cannot be asked, or refuses the question; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `start_s` to `end_s`, unix seconds; scrape_s: how often Prometheus scrapes."""

    start_s: float
    end_s: float
    scrape_s: float

    @property
    def step_s(self) -> float:
        return max(self.scrape_s, (self.end_s - self.start_s) / _POINTS)

    @property
    def times_s(self) -> tuple[float, ...]:
        count = int((self.end_s - self.start_s) / self.step_s) + 1
        return tuple(self.start_s + number * self.step_s for number in range(count))

    @property
    def rate_interval(self) -> str:
        """As Grafana fills in `$__rate_interval`: no shorter than four scrapes."""
        chosen_s = max(_SCRAPES_OF_A_RATE * self.scrape_s, self.step_s + self.scrape_s)
        return f"{round(1000 * chosen_s)}ms"


@dataclass(frozen=True, slots=True)
class Line:
    """values: one for each of the span's times; NaN where there is none."""

    legend: str
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        """The last one that there is; NaN where there is none."""
        return next((each for each in reversed(self.values) if not math.isnan(each)), math.nan)


class _Series(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Data(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str | None = None


class History:
    """http: a client whose base URL is Prometheus'. route: a regular expression for `$route`."""

    def __init__(self, http: httpx.Client, span: Span, *, route: str = ".*") -> None:
        self._http = http
        self.span = span
        self._route = route

    def lines(self, query: Query) -> list[Line]:
        """By legend. Raises NoHistory."""
        expr = query.expr.replace("$__rate_interval", self.span.rate_interval)
        answer = self._ask(expr.replace("$route", self._route))
        found = [
            Line(_filled(query.legend, each.metric), self._on_grid(each.values)) for each in answer
        ]
        return sorted(found, key=lambda line: line.legend)

    def _ask(self, expr: str) -> list[_Series]:
        span = self.span
        asked: dict[str, str | float] = {
            "query": expr,
            "start": span.start_s,
            "end": span.end_s,
            "step": span.step_s,
        }
        try:
            response = self._http.get("/api/v1/query_range", params=asked)
            answer = msgspec.json.decode(response.content, type=_Answer)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            raise NoHistory(
                f"{self._http.base_url} is no Prometheus that answers: {error}"
            ) from error
        if answer.data is None:
            raise NoHistory(f"Prometheus refuses {expr}: {answer.error}")
        return answer.data.result

    def _on_grid(self, values: list[tuple[float, str]]) -> tuple[float, ...]:
        step_s = self.span.step_s
        there = {round((at - self.span.start_s) / step_s): float(value) for at, value in values}
        return tuple(there.get(number, math.nan) for number in range(len(self.span.times_s)))


def _filled(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)
