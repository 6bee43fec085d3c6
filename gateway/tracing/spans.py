"""A closed record as spans: their times are the record's, so nothing was made while it ran."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gateway.record import Record
from gateway.route import Role
from gateway.tracing import names
from gateway.tracing.context import TraceContext
from gateway.tracing.names import Conventions
from gateway.transcript import Transcript
from router.policy import Mode
from router.trace import Outcome

Value = str | bool | int | float | tuple[str, ...] | None
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SERVER_ERROR = 500
_NS = 1e9


@dataclass(frozen=True, slots=True)
class SpanMaker:
    """Whose spans they are, and how their attributes are called."""

    resource: Resource
    scope: InstrumentationScope
    conventions: Conventions

    def of_request(self, record: Record, context: TraceContext) -> Iterator[ReadableSpan]:
        """The request, then what belongs to it."""
        own = _place(context.trace_id, context.span_id)
        outside = None
        if context.parent is not None:
            outside = _place(context.trace_id, context.parent, remote=True)
        failed = record.status >= _SERVER_ERROR or record.outcome is Outcome.CUT
        path = record.asked.path
        yield self._span(
            f"POST /v1{path}",
            own,
            outside,
            _When(record, record.started_s, record.started_s + record.total_s),
            {
                names.METHOD: "POST",
                names.ROUTE: f"/v1{path}",
                names.STATUS: record.status,
                names.ERROR: str(record.status) if failed else None,
                names.TRACE_ID: record.trace_id,
                names.TUTELAGE_ROUTE: record.route.name,
                names.SERVED_BY: _plain(record.served_by),
                names.REASON: _plain(record.reason),
                names.OUTCOME: str(record.outcome),
                names.COST_USD: record.spent_usd,
                self.conventions.operation: names.OPERATIONS.get(path),
                self.conventions.request_model: record.asked.model,
            },
            kind=SpanKind.SERVER,
            failed=failed,
        )
        for role, heard in ((Role.STUDENT, record.student), (Role.TEACHER, record.teacher)):
            if heard is not None:
                place = _place(context.trace_id, heard.span_id)
                yield self._call(record, role, heard, place, own)
        yield from self._gate(record, context, own)
        yield from self._verification(record, context, own)

    def of_shadow(
        self, record: Record, context: TraceContext, role: Role, heard: Transcript
    ) -> ReadableSpan:
        """In a trace of its own, which a link ties to the request: nobody waited for it."""
        own = _place(context.new_id() << 64 | context.new_id(), heard.span_id)
        request = Link(_place(context.trace_id, context.span_id))
        return self._call(record, role, heard, own, name=names.SHADOW, links=(request,))

    def _call(
        self,
        record: Record,
        role: Role,
        heard: Transcript,
        own: SpanContext,
        parent: SpanContext | None = None,
        *,
        name: str | None = None,
        links: tuple[Link, ...] = (),
    ) -> ReadableSpan:
        upstream, usage, words = heard.upstream, heard.usage, self.conventions
        operation = names.OPERATIONS.get(record.asked.path, record.asked.path)
        when = _When(record, heard.started_s, heard.started_s + (heard.total_s or 0.0))
        events: tuple[Event, ...] = ()
        if heard.first_token_s is not None:
            at_ns = when.ns(heard.started_s + heard.first_token_s)
            events = (Event(names.FIRST_TOKEN, timestamp=at_ns),)
        only, error = upstream.replicas.only, heard.error
        ending = heard.choices[0].finish_reason if heard.choices else None
        address = urlsplit(only.base_url) if only is not None else None
        return self._span(
            f"{name or operation} {upstream.model}",
            own,
            parent,
            when,
            {
                names.ROLE: str(role),
                names.UPSTREAM: upstream.name,
                names.COMPLETE: heard.complete,
                names.ADDRESS: address.hostname if address is not None else None,
                names.PORT: address.port if address is not None else None,
                names.ERROR: type(error).__name__ if error is not None else None,
                words.provider: names.PROVIDER,
                words.operation: names.OPERATIONS.get(record.asked.path),
                words.request_model: upstream.model,
                words.input_tokens: usage.prompt_tokens if usage is not None else None,
                words.output_tokens: usage.completion_tokens if usage is not None else None,
                words.finish_reasons: (ending,) if ending else None,
            },
            kind=SpanKind.CLIENT,
            failed=error is not None,
            why=str(error) if error is not None else None,
            events=events,
            links=links,
        )

    def _gate(
        self, record: Record, context: TraceContext, request: SpanContext
    ) -> Iterator[ReadableSpan]:
        """From the student's first token to the ruling."""
        student = record.student
        if record.gate is None or student is None or student.total_s is None:
            return
        began_s = student.started_s + (student.first_token_s or student.total_s)
        ended_s = student.started_s + student.total_s
        if record.served_by is Role.STUDENT and record.asked.stream:
            ended_s = record.started_s + (record.first_byte_s or record.total_s)
        yield self._span(
            names.GATE,
            _place(context.trace_id, context.new_id()),
            request,
            _When(record, min(began_s, ended_s), ended_s),
            {
                names.CONFIDENCE: record.confidence,
                names.THRESHOLD: record.route.threshold
                if record.plan.mode is Mode.CASCADE
                else None,
                names.TOKENS_SEEN: record.tokens_seen,
                names.REASON: _plain(record.reason),
            },
        )

    def _verification(
        self, record: Record, context: TraceContext, request: SpanContext
    ) -> Iterator[ReadableSpan]:
        """From the draft's end to the answer's first byte, or to the teacher's writing anew."""
        work, student, teacher = record.verification, record.student, record.teacher
        if work is None or work.ending is None or student is None:
            return
        began_s = student.started_s + (student.total_s or 0.0)
        ended_s = record.started_s + (record.first_byte_s or record.total_s)
        if not work.serves and teacher is not None:
            ended_s = teacher.started_s
        yield self._span(
            names.VERIFICATION,
            _place(context.trace_id, context.new_id()),
            request,
            _When(record, began_s, max(began_s, ended_s)),
            {names.RULE: str(work.rule), names.ENDING: str(work.ending), names.KEPT: work.kept},
        )

    def _span(
        self,
        name: str,
        own: SpanContext,
        parent: SpanContext | None,
        when: "_When",
        attributes: Mapping[str, Value],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        failed: bool = False,
        why: str | None = None,
        events: tuple[Event, ...] = (),
        links: tuple[Link, ...] = (),
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context=own,
            parent=parent,
            resource=self.resource,
            attributes={key: value for key, value in attributes.items() if value is not None},
            events=events,
            links=links,
            kind=kind,
            status=Status(StatusCode.ERROR, why) if failed else Status(),
            start_time=when.ns(when.began_s),
            end_time=when.ns(when.ended_s),
            instrumentation_scope=self.scope,
        )


@dataclass(frozen=True, slots=True)
class _When:
    """Monotonic seconds of a record, told in nanoseconds since 1970."""

    record: Record
    began_s: float
    ended_s: float

    def ns(self, monotonic_s: float) -> int:
        since_s = monotonic_s - self.record.started_s
        return int((self.record.started_unix_s + since_s) * _NS)


def _place(trace_id: int, span_id: int, *, remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=remote, trace_flags=_SAMPLED)


def _plain(name: str | None) -> str | None:
    return str(name) if name is not None else None
