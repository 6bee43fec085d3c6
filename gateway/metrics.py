"""What the gateway counts, and what it says of itself at `/metrics`; the names are in `families`.

A request finds its tallies with one look into a dictionary and adds to a few numbers in the
process's ledger; the text is made when it is asked for.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.exposition import Family, Kind, render
from gateway.families import (
    CONFIDENCE,
    COST,
    DIVERGENCE,
    DRAFT_ACCEPTANCE,
    DRAFT_TOKENS,
    DRIFT,
    DRIFT_EVIDENCE,
    FALLBACKS,
    FAMILIES,
    FEEDBACK,
    FEEDBACK_SCORE,
    FIRST_TOKEN_SECONDS,
    IN_FLIGHT,
    INTER_TOKEN_SECONDS,
    JUDGED,
    NOBODY,
    OVERHEAD_SECONDS,
    RELEASE_INFO,
    REQUEST_SECONDS,
    REQUESTS,
    SECONDS,
    SECONDS_SUM,
    SHADOW,
    TOKENS,
    TRACES,
    UNUSABLE_SCHEMAS,
    UPSTREAM_STATE,
    VERIFICATIONS,
    VERIFIED_TOKENS,
)
from gateway.ledger import Ledger
from gateway.record import Record
from gateway.route import Role, Route
from gateway.stage import Stage
from gateway.upstream import Upstream
from router.divergence import Comparator
from router.drift import Drift
from router.trace import Drafted, Reason, ServedBy, Usage

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
        self._stages = {stage: self._observer(OVERHEAD_SECONDS, stage) for stage in Stage}
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
        self._count(REQUESTS, NOBODY, NOBODY, error.code, str(error.status))

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
        values[at + bisect_left(SECONDS, record.total_s)] += 1.0
        values[at + SECONDS_SUM] += record.total_s
        if record.first_byte_s is not None:
            at = ended.first_byte_at
            values[at + bisect_left(SECONDS, record.first_byte_s)] += 1.0
            values[at + SECONDS_SUM] += record.first_byte_s
        if record.confidence is not None:
            ended.observe_confidence(record.confidence)
        if served_by is not None and record.fell_back:
            self._count(FALLBACKS, route, *_fallback(record, reason))
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
        name = served_by if served_by is not None else NOBODY
        if reason in {Reason.VERIFIED, Reason.TAKEOVER}:
            name = ServedBy.BOTH
        return _Ended(
            requests_at=self._open(REQUESTS, route, name, reason, str(status)),
            cost_at=self._open(COST, route),
            total_at=self._open(REQUEST_SECONDS, route, name),
            first_byte_at=self._open(FIRST_TOKEN_SECONDS, route, name),
            observe_confidence=self._observer(CONFIDENCE, route),
        )

    def _count_verified(self, route: str, record: Record) -> None:
        work = record.verification
        if work is None or work.ending is None:
            return
        self._count(VERIFICATIONS, route, work.ending)
        kept = work.kept if work.serves else 0
        self._count(VERIFIED_TOKENS, route, "kept", more=kept)
        self._count(VERIFIED_TOKENS, route, "rejected", more=len(work.readings) - kept)

    def _count_drafted(self, route: Route, drafted: Drafted) -> None:
        labels = (route.name, route.release or NOBODY)
        self._count(DRAFT_TOKENS, *labels, "accepted", more=drafted.accepted)
        self._count(DRAFT_TOKENS, *labels, "rejected", more=drafted.tokens - drafted.accepted)
        at = self._open(DRAFT_ACCEPTANCE, *labels)
        self._values[at] += drafted.accepted
        self._values[at + 1] += drafted.tokens

    def _count_tokens(self, route: str, asked: Upstream, usage: Usage | None) -> None:
        if usage is None:
            return
        upstream = asked.name
        try:
            input_at, output_at = self._tokens[route, upstream]
        except KeyError:
            input_at = self._open(TOKENS, route, upstream, "input")
            output_at = self._open(TOKENS, route, upstream, "output")
            self._tokens[route, upstream] = input_at, output_at
        self._values[input_at] += usage.prompt_tokens
        self._values[output_at] += usage.completion_tokens

    def took(self, stage: Stage, seconds: float) -> None:
        """So much of our own time went into one request's stage."""
        self._stages[stage](seconds)

    def gaps(self, route: str, served_by: Role) -> Observe:
        """What notes the seconds between two events of one route's streams; ask once a stream."""
        if (observe := self._gaps.get((route, served_by))) is None:
            observe = self._observer(INTER_TOKEN_SECONDS, route, served_by)
            self._gaps[route, served_by] = observe
        return observe

    def shadowed(self, route: str, outcome: str) -> None:
        self._count(SHADOW, route, outcome)

    def compared(
        self, route: str, comparator: Comparator, agreement: float, release: str | None = None
    ) -> None:
        """release: whose student was compared."""
        labels = (route, comparator, release or NOBODY)
        self._count(JUDGED, *labels)
        self._count(DIVERGENCE, *labels, more=1.0 - agreement)

    def feedback_given(self, route: str, served_by: str | None, score: float | None) -> None:
        labels = (route, served_by if served_by is not None else NOBODY)
        self._count(FEEDBACK, *labels)
        if score is not None:
            self._observer(FEEDBACK_SCORE, *labels)(score)

    def release_stands(self, route: str, release: str, role: str, has_it: bool) -> None:  # noqa: FBT001 - a gauge's two values
        self._values[self._open(RELEASE_INFO, route, release, role)] = float(has_it)

    def drifted(self, route: str, drift: Drift) -> None:
        self._values[self._open(DRIFT, route, drift.reading)] = drift.psi.value
        self._values[self._open(DRIFT_EVIDENCE, route, drift.reading)] = drift.evidence

    def schema_unusable(self) -> None:
        """A client's JSON schema that the checks cannot hold an answer to."""
        self._count(UNUSABLE_SCHEMAS)

    def traced(self, outcome: str, count: int) -> None:
        with self._tracing:
            self._count(TRACES, outcome, more=count)

    def watch_in_flight(self, upstream: str, in_flight: Callable[[], float]) -> None:
        """Read the gauge from its owner at each scrape."""
        self._gauges.append((self._open(IN_FLIGHT, upstream), in_flight))

    def watch_state(self, upstream: str, state: Callable[[], float]) -> None:
        """As `watch_in_flight`; what the numbers mean stands at the family."""
        self._gauges.append((self._open(UPSTREAM_STATE, upstream), state))

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
