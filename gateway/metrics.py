"""Every metric name, in one file. Labels come from the config or a fixed list, not from clients."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from gateway.errors import GatewayError
from gateway.record import Record
from gateway.route import Role
from router.divergence import Comparator

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_PROBABILITY = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)
_NOBODY = "none"


class Metrics:
    """One registry a process. Call sites name events; label values are made here."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, no use
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tutelage_requests",
            "Requests by who served them and why.",
            ["route", "served_by", "reason", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "tutelage_request_seconds",
            "From the parsed request to the last byte.",
            ["route", "served_by"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_token_seconds = Histogram(
            "tutelage_time_to_first_token_seconds",
            "From the parsed request to the first byte of the answer.",
            ["route", "served_by"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._confidence = Histogram(
            "tutelage_confidence",
            "The student's confidence where the gate ruled.",
            ["route"],
            buckets=_PROBABILITY,
            registry=self.registry,
        )
        self._fallbacks = Counter(
            "tutelage_fallbacks",
            "Requests that the route's first model did not serve.",
            ["route", "reason", "how"],
            registry=self.registry,
        )
        self._shadow = Counter(
            "tutelage_shadow",
            "Sampled requests by what became of their shadow: compared, failed, shed.",
            ["route", "outcome"],
            registry=self.registry,
        )
        self._judged = Counter(
            "tutelage_judged",
            "Pairs of answers that were compared.",
            ["route", "comparator"],
            registry=self.registry,
        )
        self._divergence = Counter(
            "tutelage_divergence",
            "Disagreement among the compared pairs; a partial one counts in part.",
            ["route", "comparator"],
            registry=self.registry,
        )
        self._tokens = Counter(
            "tutelage_tokens",
            "Tokens by model and direction, as the engines report them.",
            ["route", "upstream", "direction"],
            registry=self.registry,
        )
        self._cost = Counter(
            "tutelage_cost_usd",
            "What the calls cost at the configured prices.",
            ["route"],
            registry=self.registry,
        )
        self._traces = Counter(
            "tutelage_traces",
            "Trace records by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "tutelage_in_flight",
            "Calls to an upstream that run now.",
            ["upstream"],
            registry=self.registry,
        )

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

    def refused(self, error: GatewayError) -> None:
        """A request that was turned away before it had a route and a slot."""
        self._requests.labels(_NOBODY, _NOBODY, error.code, str(error.status)).inc()

    def closed(self, record: Record) -> None:
        """A request that was accepted has ended, one way or another."""
        route = record.route.name
        served_by = record.served_by.value if record.served_by is not None else _NOBODY
        reason = record.reason.value if record.reason is not None else record.outcome.value
        self._requests.labels(route, served_by, reason, str(record.status)).inc()
        self._request_seconds.labels(route, served_by).observe(record.total_s)
        if record.first_byte_s is not None:
            self._first_token_seconds.labels(route, served_by).observe(record.first_byte_s)
        if record.confidence is not None:
            self._confidence.labels(route).observe(record.confidence)
        if record.fell_back and record.served_by is not None:
            how = "regenerate" if record.served_by is Role.TEACHER else "student"
            self._fallbacks.labels(route, reason, how).inc()
        self._cost.labels(route).inc(record.spent_usd())
        for transcript in (record.student, record.teacher):
            if transcript is not None and (usage := transcript.usage) is not None:
                name = transcript.upstream.name
                self._tokens.labels(route, name, "input").inc(usage.prompt_tokens)
                self._tokens.labels(route, name, "output").inc(usage.completion_tokens)

    def shadowed(self, route: str, outcome: str) -> None:
        self._shadow.labels(route, outcome).inc()

    def compared(self, route: str, comparator: Comparator, agreement: float) -> None:
        self._judged.labels(route, comparator.value).inc()
        self._divergence.labels(route, comparator.value).inc(1.0 - agreement)

    def traced(self, outcome: str, count: int) -> None:
        self._traces.labels(outcome).inc(count)

    def watch_in_flight(self, upstream: str, in_flight: Callable[[], float]) -> None:
        """Read the gauge from its owner at each scrape."""
        self._in_flight.labels(upstream).set_function(in_flight)
