"""Student first, teacher if the gate says so; and each for the other where one is dead.

The client reads one voice: nothing is sent before the gate has ruled, and a rejected draft is
never seen. The student is hung up on before the teacher is called.
"""

from collections.abc import Coroutine
from dataclasses import dataclass

from gateway.call import Call
from gateway.errors import (
    NoEndpoint,
    NotServed,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
)
from gateway.events import Events
from gateway.expected import may_call
from gateway.record import Record
from gateway.reply import Reply
from gateway.route import Role
from gateway.stage import Stage
from gateway.stream import Heard, Stream
from gateway.takeover import watch
from gateway.transcript import Transcript
from gateway.verify import Deferral, prepare, verified
from gateway.wire import UNREADABLE, is_there
from router.gate import AnswerGate, Verdict
from router.policy import Mode
from router.trace import Reason

Trouble = (UpstreamFailed, UpstreamRejected)
"""What another model may be able to mend."""

Answer = bytes | Stream
"""A whole answer or a stream."""


def answer(record: Record) -> Coroutine[object, object, Answer]:
    """Who serves, and what. Raises UpstreamFailed or UpstreamRejected when nobody can."""
    match record.plan.mode:
        case Mode.STUDENT:
            return _one(record, Role.STUDENT)
        case Mode.TEACHER | Mode.SPECULATIVE:
            return _one(record, Role.TEACHER)
        case Mode.CASCADE:
            return _cascade(record)


async def _one(record: Record, role: Role) -> Answer:
    """The planned model, or, unless it is pinned, the other one when it is dead."""
    try:
        return await _serve(record, role, record.plan.reason)
    except Trouble as trouble:
        if isinstance(trouble, NoEndpoint) and not record.asked.generates:
            raise NotServed(record.asked.model, record.asked.path, str(trouble)) from trouble
        if not record.plan.backup:
            raise
        why = _student_trouble(trouble) if role is Role.STUDENT else Reason.TEACHER_UNAVAILABLE
        return await _serve(record, role.other, why)


async def _cascade(record: Record) -> Answer:
    try:
        draft = await _draft(record)
    except Trouble as trouble:
        why = _student_trouble(trouble, observed=not record.asked.logprobs)
        return await _serve(record, Role.TEACHER, why)
    if draft.verdict is Verdict.COMMIT:
        record.decide(Role.STUDENT, record.route.confident)
        heard, pair = draft.heard(), record.route.verify
        if pair is not None and pair.collapse is not None and isinstance(heard, Stream):
            watch(record, pair, pair.collapse, heard)
        return heard
    draft.hang_up()
    if (pair := record.route.verify) is not None:
        deferral = Deferral(draft.transcript, draft.held, draft.complete, draft.why_not)
        if (found := await verified(record, pair, deferral)) is not None:
            return found
    try:
        return await _serve(record, Role.TEACHER, draft.why_not)
    except Trouble:
        if draft.complete:
            record.decide(Role.STUDENT, Reason.TEACHER_UNAVAILABLE)
            return draft.heard()
        return await _serve(record, Role.STUDENT, Reason.TEACHER_UNAVAILABLE)


def _student_trouble(trouble: Exception, *, observed: bool = False) -> Reason:
    """observed: we asked for logprobs, and the client did not; there are engines that have none to
    give on some endpoints, or together with tools, and refuse the request.
    """
    if observed and isinstance(trouble, UpstreamRejected) and "logprobs" in str(trouble):
        return Reason.NO_SIGNAL
    timed_out = isinstance(trouble, UpstreamTimedOut)
    return Reason.STUDENT_TIMEOUT if timed_out else Reason.STUDENT_ERROR


async def _serve(record: Record, role: Role, reason: Reason) -> Answer:
    """Ask one model for the whole answer, or for a stream up to its first event."""
    asked = record.asked
    transcript = record.begin(role)
    call = record.call(transcript, observe=False)
    try:
        if asked.stream:
            events = await transcript.upstream.stream(call)
            with events.closed_on_error():
                opening = await _opening(transcript, events)
            record.decide(role, reason)
            return Stream(asked, role, record.route.origins[role], transcript, opening, events)
        whole = await transcript.upstream.ask(call)
        reply = transcript.hear(whole, stream=False)
    except Trouble as trouble:
        transcript.ended(complete=False, error=trouble)
        raise
    transcript.ended(complete=True)
    record.decide(role, reason)
    return _as_shown(record, role, whole, reply)


async def _opening(transcript: Transcript, events: Events) -> list[Heard]:
    """Up to the first event that says something: before it, a failure can still be mended."""
    held: list[Heard] = []
    while not transcript.has_begun and (payload := await events.next()) is not None:
        held.append((payload, transcript.hear(payload, stream=True)))
    if not held:
        raise UpstreamFailed(transcript.upstream.name, "the stream held nothing but its end")
    return held


def _as_shown(record: Record, role: Role, whole: bytes, reply: Reply) -> bytes:
    shown = record.asked.shown(whole, reply, record.route.origins[role])
    assert shown is not None  # noqa: S101 - only events of a stream are dropped
    return shown


@dataclass(slots=True)
class _Draft:
    """What the student wrote until the gate ruled. `events`: where the rest comes from."""

    record: Record
    transcript: Transcript
    verdict: Verdict
    held: list[Heard]
    events: Events | None
    complete: bool
    why_not: Reason = Reason.LOW_CONFIDENCE

    def heard(self) -> Answer:
        record = self.record
        if self.events is not None:
            role, origin = Role.STUDENT, record.route.origins[Role.STUDENT]
            return Stream(record.asked, role, origin, self.transcript, self.held, self.events)
        (payload, reply), *_ = self.held
        return _as_shown(record, Role.STUDENT, payload, reply)

    def hang_up(self) -> None:
        if self.events is not None:
            self.events.close()
        self.transcript.ended(complete=self.complete)


async def _draft(record: Record) -> _Draft:
    """Let the student write until the gate rules; what it wrote must then pass the checks."""
    asked = record.asked
    gate = AnswerGate(record.rule(), asked.choices, tools=may_call(asked.fields))
    record.gate = gate
    transcript = record.begin(Role.STUDENT)
    call = record.call(transcript, observe=True)
    if (pair := record.route.verify) is not None:
        call = prepare(record, pair, call)
    try:
        if record.asked.stream:
            draft = await _streamed_draft(record, transcript, gate, call)
        else:
            whole = await transcript.upstream.ask(call)
            if record.verification is not None:
                whole = record.verification.notes_of(whole)
            if (laps := record.laps) is not None:
                laps.skip()
            reply = transcript.hear(whole, stream=False)
            _feed(gate, transcript, reply)
            if laps is not None:
                laps.lap(Stage.GATE)
            transcript.ended(complete=True)
            held = [(whole, reply)]
            draft = _Draft(record, transcript, gate.finish(), held, None, complete=True)
    except Trouble as trouble:
        transcript.ended(complete=False, error=trouble)
        raise
    finally:
        record.tokens_seen, record.confidence = gate.tokens, gate.confidence
        record.confidences = gate.confidences
    _check(draft)
    return draft


def _check(draft: _Draft) -> None:
    """A failed check overrules the gate's commit, and explains more than its doubt does."""
    record, checks = draft.record, draft.record.route.checks
    if record.confidence is None:
        draft.why_not = Reason.NO_SIGNAL
    if checks and (draft.complete or draft.verdict is Verdict.COMMIT):
        failed = draft.transcript.failed_check(checks, record.expected, ended=draft.complete)
        if failed is not None:
            draft.verdict, draft.why_not = Verdict.ESCALATE, Reason.of_check(failed)


async def _streamed_draft(
    record: Record, transcript: Transcript, gate: AnswerGate, call: Call
) -> _Draft:
    events: Events = await transcript.upstream.stream(call)
    if record.verification is not None:
        events = record.verification.noting(events)
    held: list[Heard] = []
    verdict = Verdict.WAIT
    with events.closed_on_error():
        while verdict is Verdict.WAIT:
            if (payload := await events.next()) is None:
                transcript.heard_to_the_end()
                return _Draft(record, transcript, gate.finish(), held, events, complete=True)
            reply = transcript.hear(payload, stream=True)
            held.append((payload, reply))
            verdict = _feed(gate, transcript, reply)
    return _Draft(record, transcript, verdict, held, events, complete=False)


def _feed(gate: AnswerGate, transcript: Transcript, reply: Reply) -> Verdict:
    try:
        for part in reply.parts:
            tokens, said = part.tokens(), part.said
            if said.thoughts and not said.words and not is_there(said.calls):
                gate.reasoned(part.index, len(tokens))
                continue
            gate.feed_all(part.index, tokens)
    except UNREADABLE as error:
        name = transcript.upstream.name
        raise UpstreamFailed(name, f"sent logprobs of an unknown shape: {error}") from error
    return gate.verdict
