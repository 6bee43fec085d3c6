"""Every metric name, in one file. Labels come from the config or a fixed list, not from clients.

A request finds its tallies with one look into a dictionary and adds to a few numbers in the
process's ledger; the text is made when it is asked for.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.exposition import Family, Kind, render
from gateway.ledger import Ledger
from gateway.record import Record
from gateway.route import Role, Route
from gateway.stage import Stage
from gateway.upstream import Upstream
from router.divergence import Comparator
from router.trace import Drafted, Reason, ServedBy, Usage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_GAP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5, 10)
_OWN_SECONDS = (5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.05, 0.25, 1)
_PROBABILITY = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)
_NOBODY = "none"

_REQUESTS = Family(
    "tutelage_requests_total",
    Kind.COUNTER,
    "Requests by who served them and why.",
    ("route", "served_by", "reason", "status"),
)
_REQUEST_SECONDS = Family(
    "tutelage_request_seconds",
    Kind.HISTOGRAM,
    "From the parsed request to the last byte.",
    ("route", "served_by"),
    _SECONDS,
)
_FIRST_TOKEN_SECONDS = Family(
    "tutelage_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    "From the parsed request to the first byte of the answer.",
    ("route", "served_by"),
    _SECONDS,
)
_INTER_TOKEN_SECONDS = Family(
    "tutelage_inter_token_seconds",
    Kind.HISTOGRAM,
    "Between two events of a stream, as the client gets them.",
    ("route", "served_by"),
    _GAP_SECONDS,
)
_OVERHEAD_SECONDS = Family(
    "tutelage_overhead_seconds",
    Kind.HISTOGRAM,
    "Our own time, not the upstream's, by stage: parse, admit, plan, gate, respond.",
    ("stage",),
    _OWN_SECONDS,
)
_SECONDS_SUM = _REQUEST_SECONDS.width - 1
"""Where the sum of a histogram over `_SECONDS` stands."""
_CONFIDENCE = Family(
    "tutelage_confidence",
    Kind.HISTOGRAM,
    "The student's confidence where the gate ruled.",
    ("route",),
    _PROBABILITY,
)
_FALLBACKS = Family(
    "tutelage_fallbacks_total",
    Kind.COUNTER,
    "Requests that the route's first model did not serve.",
    ("route", "reason", "how"),
)
_VERIFICATIONS = Family(
    "tutelage_verifications_total",
    Kind.COUNTER,
    "Deferrals read, and takeovers: kept, continued, rejected, unfit, failed, taken_over.",
    ("route", "outcome"),
)
_VERIFIED_TOKENS = Family(
    "tutelage_verified_tokens_total",
    Kind.COUNTER,
    "Tokens of the student that the teacher has read: kept in the answer, or rejected.",
    ("route", "outcome"),
)
_DRAFT_TOKENS = Family(
    "tutelage_draft_tokens_total",
    Kind.COUNTER,
    "Tokens that were drafted in an engine that speculates: accepted, or rejected.",
    ("route", "release", "outcome"),
)
_DRAFT_ACCEPTANCE = Family(
    "tutelage_draft_acceptance_ratio",
    Kind.RATIO,
    "Share of the drafted tokens that were accepted, since the gateway started.",
    ("route", "release"),
)
_SHADOW = Family(
    "tutelage_shadow_total",
    Kind.COUNTER,
    "Sampled requests by what became of their shadow: compared, failed, shed.",
    ("route", "outcome"),
)
_JUDGED = Family(
    "tutelage_judged_total",
    Kind.COUNTER,
    "Pairs of answers that were compared.",
    ("route", "comparator", "release"),
)
_DIVERGENCE = Family(
    "tutelage_divergence_total",
    Kind.COUNTER,
    "Disagreement among the compared pairs; a partial one counts in part.",
    ("route", "comparator", "release"),
)
_TOKENS = Family(
    "tutelage_tokens_total",
    Kind.COUNTER,
    "Tokens by model and direction, as the engines report them.",
    ("route", "upstream", "direction"),
)
_COST = Family(
    "tutelage_cost_usd_total",
    Kind.COUNTER,
    "What the calls cost at the configured prices.",
    ("route",),
)
_FEEDBACK = Family(
    "tutelage_feedback_total",
    Kind.COUNTER,
    "Feedback on answers, by whose answer it was.",
    ("route", "served_by"),
)
_FEEDBACK_SCORE = Family(
    "tutelage_feedback_score",
    Kind.HISTOGRAM,
    "The score in [0, 1] of the feedback that gave one.",
    ("route", "served_by"),
    (0.0, 0.25, 0.5, 0.75, 1.0),
)
_UNUSABLE_SCHEMAS = Family(
    "tutelage_unusable_schemas_total",
    Kind.COUNTER,
    "JSON schemas of clients that no answer could be checked against.",
    (),
)
_TRACES = Family(
    "tutelage_traces_total",
    Kind.COUNTER,
    "Trace records by what became of them.",
    ("outcome",),
)
_IN_FLIGHT = Family(
    "tutelage_in_flight",
    Kind.GAUGE,
    "Calls to an upstream that run now.",
    ("upstream",),
)
_UPSTREAM_STATE = Family(
    "tutelage_upstream_state",
    Kind.GAUGE,
    "0: called; 1: tried again after failures; 2: not called. The worst among the workers.",
    ("upstream",),
    over_workers=max,
)

_RELEASE_INFO = Family(
    "tutelage_release_info",
    Kind.GAUGE,
    "1: this release has this role on the route (incumbent, candidate, refused).",
    ("route", "release", "role"),
    over_workers=max,
)

FAMILIES = (
    *(_REQUESTS, _REQUEST_SECONDS, _FIRST_TOKEN_SECONDS, _INTER_TOKEN_SECONDS, _OVERHEAD_SECONDS),
    *(_CONFIDENCE, _FALLBACKS, _SHADOW, _JUDGED, _DIVERGENCE, _TOKENS, _COST, _TRACES),
    *(_IN_FLIGHT, _UPSTREAM_STATE, _UNUSABLE_SCHEMAS, _FEEDBACK, _FEEDBACK_SCORE),
    *(_VERIFICATIONS, _VERIFIED_TOKENS, _DRAFT_TOKENS, _DRAFT_ACCEPTANCE),
    _RELEASE_INFO,
)
_KINDS = {family.name: family.kind for family in FAMILIES}

Observe = Callable[[float], None]


def zero_gauges(ledger: Ledger) -> None:
    """What a process that is gone had now, it has no more; what it counted stays."""
    for series, _ in ledger.read():
        if _KINDS[series.family] is Kind.GAUGE:
            ledger.values[ledger.open(series.family, series.labels)] = 0.0


class Metrics:
    """Call sites name events; label values are made here.

    ledger: this process's. siblings: those of the gateway's other workers, for what `render` adds
    up. Events come from the event loop's thread, `traced` from any.
    """

    def __init__(self, ledger: Ledger | None = None, siblings: Sequence[Ledger] = ()) -> None:
        self._ledger = ledger if ledger is not None else Ledger()
        self._ledgers = (self._ledger, *siblings)
        self._values = self._ledger.values
        zero_gauges(self._ledger)  # of the process whose place this one takes
        self._ended: dict[tuple[str, Role | None, str, int], _Ended] = {}
        self._tokens: dict[tuple[str, str], tuple[int, int]] = {}
        self._gauges: list[tuple[int, Callable[[], float]]] = []
        self._stages = {stage: self._observer(_OVERHEAD_SECONDS, stage) for stage in Stage}
        self._gaps: dict[tuple[str, Role], Observe] = {}
        self._tracing = threading.Lock()

    def render(self) -> bytes:
        """The Prometheus text format, all workers added up. A millisecond or more: not for the
        event loop.
        """
        self.read_gauges()
        return render(FAMILIES, self._ledgers)

    def read_gauges(self) -> None:
        """Note what the gauges' owners say now, for the scrapes that other workers answer."""
        for at, read in self._gauges:
            self._values[at] = read()

    def refused(self, error: GatewayError) -> None:
        """A request that was turned away before it had a route and a slot."""
        self._count(_REQUESTS, _NOBODY, _NOBODY, error.code, str(error.status))

    def closed(self, record: Record) -> None:
        """A request that was accepted has ended, one way or another."""
        route, served_by = record.route.name, record.served_by
        reason = record.reason or record.outcome
        try:
            ended = self._ended[route, served_by, reason, record.status]
        except KeyError:
            ended = self._open_ended(route, served_by, reason, record.status)
            self._ended[route, served_by, reason, record.status] = ended
        values = self._values
        values[ended.requests_at] += 1.0
        at = ended.total_at
        values[at + bisect_left(_SECONDS, record.total_s)] += 1.0
        values[at + _SECONDS_SUM] += record.total_s
        if record.first_byte_s is not None:
            at = ended.first_byte_at
            values[at + bisect_left(_SECONDS, record.first_byte_s)] += 1.0
            values[at + _SECONDS_SUM] += record.first_byte_s
        if record.confidence is not None:
            ended.observe_confidence(record.confidence)
        if served_by is not None and record.fell_back:
            self._count(_FALLBACKS, route, *_fallback(record, reason))
        if record.verification is not None:
            self._count_verified(route, record)
        values[ended.cost_at] += record.spent_usd
        if record.student is not None:
            self._count_tokens(route, record.student.upstream, record.student.usage)
        if record.teacher is not None:
            told = record.teacher.usage
            usage = told if record.verification is None else record.teacher_usage
            self._count_tokens(route, record.teacher.upstream, usage)
            if record.teacher.drafted is not None:
                self._count_drafted(record.route, record.teacher.drafted)

    def _open_ended(self, route: str, served_by: Role | None, reason: str, status: int) -> "_Ended":
        name = served_by if served_by is not None else _NOBODY
        if reason in {Reason.VERIFIED, Reason.TAKEOVER}:
            name = ServedBy.BOTH
        return _Ended(
            requests_at=self._open(_REQUESTS, route, name, reason, str(status)),
            cost_at=self._open(_COST, route),
            total_at=self._open(_REQUEST_SECONDS, route, name),
            first_byte_at=self._open(_FIRST_TOKEN_SECONDS, route, name),
            observe_confidence=self._observer(_CONFIDENCE, route),
        )

    def _count_verified(self, route: str, record: Record) -> None:
        work = record.verification
        if work is None or work.ending is None:
            return
        self._count(_VERIFICATIONS, route, work.ending)
        kept = work.kept if work.serves else 0
        self._count(_VERIFIED_TOKENS, route, "kept", more=kept)
        self._count(_VERIFIED_TOKENS, route, "rejected", more=len(work.readings) - kept)

    def _count_drafted(self, route: Route, drafted: Drafted) -> None:
        labels = (route.name, route.release or _NOBODY)
        self._count(_DRAFT_TOKENS, *labels, "accepted", more=drafted.accepted)
        self._count(_DRAFT_TOKENS, *labels, "rejected", more=drafted.tokens - drafted.accepted)
        at = self._open(_DRAFT_ACCEPTANCE, *labels)
        self._values[at] += drafted.accepted
        self._values[at + 1] += drafted.tokens

    def _count_tokens(self, route: str, asked: Upstream, usage: Usage | None) -> None:
        if usage is None:
            return
        upstream = asked.name
        try:
            input_at, output_at = self._tokens[route, upstream]
        except KeyError:
            input_at = self._open(_TOKENS, route, upstream, "input")
            output_at = self._open(_TOKENS, route, upstream, "output")
            self._tokens[route, upstream] = input_at, output_at
        self._values[input_at] += usage.prompt_tokens
        self._values[output_at] += usage.completion_tokens

    def took(self, stage: Stage, seconds: float) -> None:
        """So much of our own time went into one request's stage."""
        self._stages[stage](seconds)

    def gaps(self, route: str, served_by: Role) -> Observe:
        """What notes the seconds between two events of one route's streams; ask once a stream."""
        if (observe := self._gaps.get((route, served_by))) is None:
            observe = self._observer(_INTER_TOKEN_SECONDS, route, served_by)
            self._gaps[route, served_by] = observe
        return observe

    def shadowed(self, route: str, outcome: str) -> None:
        self._count(_SHADOW, route, outcome)

    def compared(
        self, route: str, comparator: Comparator, agreement: float, release: str | None = None
    ) -> None:
        """release: whose student was compared."""
        labels = (route, comparator, release or _NOBODY)
        self._count(_JUDGED, *labels)
        self._count(_DIVERGENCE, *labels, more=1.0 - agreement)

    def feedback_given(self, route: str, served_by: str | None, score: float | None) -> None:
        labels = (route, served_by if served_by is not None else _NOBODY)
        self._count(_FEEDBACK, *labels)
        if score is not None:
            self._observer(_FEEDBACK_SCORE, *labels)(score)

    def release_stands(self, route: str, release: str, role: str, has_it: bool) -> None:  # noqa: FBT001 - a gauge's two values
        self._values[self._open(_RELEASE_INFO, route, release, role)] = float(has_it)

    def schema_unusable(self) -> None:
        """A client's JSON schema that the checks cannot hold an answer to."""
        self._count(_UNUSABLE_SCHEMAS)

    def traced(self, outcome: str, count: int) -> None:
        with self._tracing:
            self._count(_TRACES, outcome, more=count)

    def watch_in_flight(self, upstream: str, in_flight: Callable[[], float]) -> None:
        """Read the gauge from its owner at each scrape."""
        self._gauges.append((self._open(_IN_FLIGHT, upstream), in_flight))

    def watch_state(self, upstream: str, state: Callable[[], float]) -> None:
        """As `watch_in_flight`; what the numbers mean stands at the family."""
        self._gauges.append((self._open(_UPSTREAM_STATE, upstream), state))

    def _open(self, family: Family, *labels: str) -> int:
        # str: what an Enum is in a label is its value.
        return self._ledger.open(family.name, tuple(map(str, labels)), family.width)

    def _count(self, family: Family, *labels: str, more: float = 1.0) -> None:
        """For what is rare; what every request does has its place looked up beforehand."""
        at = self._open(family, *labels)
        self._values[at] += more

    def _observer(self, family: Family, *labels: str) -> Observe:
        values, bounds = self._values, family.bounds
        at = self._open(family, *labels)
        sum_at = at + family.width - 1

        def observe(value: float) -> None:
            values[at + bisect_left(bounds, value)] += 1.0
            values[sum_at] += value

        return observe


def _fallback(record: Record, reason: str) -> tuple[str, str]:
    """Why the first choice did not serve, and what was done about it."""
    if reason == Reason.TAKEOVER:
        return reason, "takeover"
    if record.verification is not None and record.verification.serves:
        return record.verification.deferred, "verify"
    return reason, "regenerate" if record.served_by is Role.TEACHER else "student"


@dataclass(frozen=True, slots=True)
class _Ended:
    """Where requests of one route that ended in one way are tallied."""

    requests_at: int
    cost_at: int
    total_at: int
    first_byte_at: int
    observe_confidence: Observe
