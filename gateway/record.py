"""One request's record while it is being made; frozen into a `router.trace.Exchange` at its end."""

import msgspec

from gateway.call import Call
from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.http import HeaderLines
from gateway.overhead import Laps
from gateway.route import Role, Route
from gateway.tracing.context import TraceContext
from gateway.transcript import Transcript
from gateway.verifying import Verifying
from gateway.wire import Asked
from router.checks import ANYTHING, Expected, needs_whole
from router.cost import cost_usd, saved_usd
from router.gate import AnswerGate, GateRule
from router.policy import Mode, Plan
from router.trace import Exchange, Outcome, Reason, ServedBy, Usage

_SERVED_BY = {Role.STUDENT: ServedBy.STUDENT, Role.TEACHER: ServedBy.TEACHER}
_FIRST_CHOICE = frozenset(
    {
        *(None, Reason.CONFIDENT, Reason.CANARY),
        *(Reason.PINNED, Reason.ROUTE_MODE, Reason.SPECULATIVE),
    }
)
_STATUS = {
    Outcome.SERVED: 200,
    Outcome.CUT: 200,  # the head was sent before the break
    Outcome.CLIENT_LEFT: 499,  # as nginx counts it; nobody reads it
    Outcome.FAILED: 500,
}


class Record(msgspec.Struct, kw_only=True):
    """A struct for speed: it is made for every request."""

    trace_id: str
    asked: Asked
    route: Route
    plan: Plan
    caller: str | None
    clock: Clock
    started_unix_s: float
    started_s: float
    until_s: float | None = None
    laps: Laps | None = None
    context: TraceContext | None = None
    """Where spans are made, and only there."""
    expected: Expected = ANYTHING
    student: Transcript | None = None
    teacher: Transcript | None = None
    served_by: Role | None = None
    reason: Reason | None = None
    confidence: float | None = None
    confidences: tuple[float | None, ...] = ()
    tokens_seen: int | None = None
    gate: AnswerGate | None = None
    first_byte_s: float | None = None
    total_s: float = 0.0
    spent_usd: float = 0.0
    """What the calls cost, a rejected draft's included; known from the close on."""
    status: int = 200
    outcome: Outcome = Outcome.FAILED
    propensity: float | None = None
    verification: Verifying | None = None
    """On a route that verifies, and only there."""

    def begin(self, role: Role) -> Transcript:
        """A call to `role` starts. A second call to the same model replaces the first's words."""
        clock = self.clock
        began_s = clock.monotonic_s()
        if role is Role.STUDENT:
            heard = self.student = Transcript(self.asked, self.route.student, clock, began_s)
        else:
            heard = self.teacher = Transcript(self.asked, self.route.teacher, clock, began_s)
        if self.context is not None:
            heard.span_id = self.context.new_id()
        return heard

    def rule(self) -> GateRule:
        """The gate's: a stream is held to its end where a check must read the whole answer."""
        stream, checks = self.asked.stream, self.route.checks
        whole = bool(checks) and stream and needs_whole(checks, self.expected)
        return self.route.rule(stream=stream and not whole)

    def call(self, heard: Transcript, *, observe: bool) -> Call:
        """What a model is asked; observe: with the logprobs that the gate reads."""
        asked, upstream, context = self.asked, heard.upstream, self.context
        return Call(
            asked.path,
            asked.body_for(upstream.model, observe=observe),
            asked.ending,
            affinity=upstream.affinity_of(asked.fields) if upstream.is_sticky else None,
            until_s=self.until_s,
            caller=self.caller,
            trace=context.headers(heard.span_id) if context is not None else None,
        )

    def follow_up(self, path: str, body: bytes, affinity: bytes | None) -> Call:
        """One more call for the same client, with no span of its own."""
        context = self.context
        return Call(
            path,
            body,
            affinity=affinity,
            until_s=self.until_s,
            caller=self.caller,
            trace=context.headers(context.span_id) if context is not None else None,
        )

    def first_byte(self) -> None:
        self.first_byte_s = self.clock.monotonic_s() - self.started_s

    def decide(self, served_by: Role, reason: Reason) -> None:
        self.served_by, self.reason = served_by, reason

    def close(self, outcome: Outcome, error: GatewayError | None = None) -> None:
        self.outcome = outcome
        self.total_s = self.clock.monotonic_s() - self.started_s
        self.status = error.status if error is not None else _STATUS[outcome]
        student, teacher, route = self.student, self.teacher, self.route
        if student is not None:
            if student.total_s is None:
                student.ended(complete=False)
            if (usage := student.usage or self._draft_usage()) is not None:
                self.spent_usd += cost_usd(usage, route.student_price)
        if teacher is not None and teacher.total_s is None:
            teacher.ended(complete=False)
        if (usage := self.teacher_usage) is not None:
            self.spent_usd += cost_usd(usage, route.teacher_price)

    def header_lines(self) -> HeaderLines:
        """Who answers and why: sent with the head, on streams too. OpenAI's clients read the
        request id under a name of their own.
        """
        trace_id = self.trace_id.encode()
        told = confidence = b""
        if self.served_by is not None and self.reason is not None:
            told = self.route.header_lines[self.served_by, self.reason]
        if self.confidence is not None:
            confidence = b"x-tutelage-confidence: %.4f\r\n" % self.confidence
        return b"x-request-id: %b\r\nx-tutelage-trace-id: %b\r\n%b%b" % (
            trace_id,
            trace_id,
            told,
            confidence,
        )

    def complete_pair(self) -> tuple[Transcript, Transcript] | None:
        """Student and teacher, if the client was served and both were heard to the end of an
        answer of their own.
        """
        student, teacher = self.student, self.teacher
        if self.outcome is not Outcome.SERVED:
            return None
        if self.verification is not None and self.loosely_verified:
            return None
        if student is None or teacher is None or not (student.complete and teacher.complete):
            return None
        return (student, teacher) if student.compared and teacher.compared else None

    @property
    def fell_back(self) -> bool:
        """Whether the route's first choice did not serve."""
        return self.reason not in _FIRST_CHOICE

    @property
    def teacher_usage(self) -> Usage | None:
        """What the teacher's calls took in all, whatever the client was told."""
        told = self.teacher.usage if self.teacher is not None else None
        return told if self.verification is None else self.verification.billed(told)

    @property
    def loosely_verified(self) -> bool:
        """What was told is neither model's own answer, and so is compared with nobody's."""
        work = self.verification
        return work is not None and work.mixed

    def served(self) -> Transcript | None:
        """What the client was told; None where nobody served."""
        if self.served_by is None:
            return None
        return self.student if self.served_by is Role.STUDENT else self.teacher

    def exchange(self) -> Exchange:
        served = self.served()
        usage = served.usage if served is not None else None
        served_by = _SERVED_BY[self.served_by] if self.served_by is not None else None
        if self.reason in {Reason.VERIFIED, Reason.TAKEOVER}:
            served_by = ServedBy.BOTH  # the teacher's answer, in the student's words
        return Exchange(
            trace_id=self.trace_id,
            ts=self.started_unix_s,
            route=self.route.name,
            caller=self.caller,
            release=self.route.release,
            stream=self.asked.stream,
            request=msgspec.Raw(self.asked.raw),
            mode=self.plan.mode,
            pinned=self.plan.pinned,
            served_by=served_by,
            reason=self.reason,
            confidence=self.confidence,
            confidences=self.confidences if len(self.confidences) > 1 else (),
            signals=self.gate.signals if self.gate is not None else None,
            opening=self.gate.opening if self.gate is not None else None,
            threshold=self.route.threshold if self.plan.mode is Mode.CASCADE else None,
            tokens_seen=self.tokens_seen,
            propensity=self.propensity,
            student=self.student.answer() if self.student is not None else None,
            teacher=self.teacher.answer() if self.teacher is not None else None,
            verification=self.verification.traced() if self.verification is not None else None,
            status=self.status,
            outcome=self.outcome,
            cost_usd=self.spent_usd,
            saved_usd=None
            if usage is None
            else saved_usd(usage, self.route.teacher_price, self.spent_usd),
            total_s=self.total_s,
        )

    def _draft_usage(self) -> Usage | None:
        """Of a draft that was hung up on, which reports none: it has written `tokens_seen`, and
        has read the prompt that the other model counted.
        """
        if not self.tokens_seen:
            return None
        read = self.teacher.usage.prompt_tokens if self.teacher and self.teacher.usage else 0
        return Usage(read, self.tokens_seen, 0)
