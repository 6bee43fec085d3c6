"""Student first, teacher if the gate says so; and each for the other where one is dead.

The client reads one voice: nothing is sent before the gate has ruled, and a rejected draft is
never seen. The student is hung up on before the teacher is called.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.call import Call
from gateway.errors import UpstreamFailed, UpstreamRejected, UpstreamTimedOut
from gateway.record import Record
from gateway.route import Role
from gateway.transcript import Transcript
from gateway.upstream import EventStream
from gateway.wire import ChatRequest, Reply, for_client
from router.gate import AnswerGate, Verdict
from router.policy import Mode
from router.trace import Reason

Trouble = (UpstreamFailed, UpstreamRejected)
"""What another model may be able to mend."""

_CHAT = "/chat/completions"

Heard = tuple[bytes, Reply]
"""A payload as it came, and what it says."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose first chunks are here. Close it, also when it was never read."""

    asked: ChatRequest
    transcript: Transcript
    held: list[Heard]
    events: EventStream

    async def payloads(self) -> AsyncIterator[bytes]:
        """The held chunks, then the rest as it comes, as the client is to see them."""
        try:
            for payload, reply in self.held:
                if (shown := for_client(self.asked, payload, reply)) is not None:
                    yield shown
            while (following := await self.events.next()) is not None:
                shown = for_client(self.asked, following, self.transcript.hear(following))
                if shown is not None:
                    yield shown
        except Trouble as trouble:
            self.transcript.ended(complete=False, error=trouble)
            raise
        self.transcript.ended(complete=True)

    def close(self) -> None:
        self.events.close()
        self.transcript.ended(complete=False)


Answer = bytes | Stream
"""A whole completion or a stream."""


async def answer(record: Record) -> Answer:
    """Who serves, and what. Raises UpstreamFailed or UpstreamRejected when nobody can."""
    match record.plan.mode:
        case Mode.STUDENT:
            return await _one(record, Role.STUDENT)
        case Mode.TEACHER:
            return await _one(record, Role.TEACHER)
        case Mode.CASCADE:
            return await _cascade(record)


async def _one(record: Record, role: Role) -> Answer:
    """The route's model, or, unless it is pinned, the other one when it is dead."""
    reason = Reason.PINNED if record.plan.pinned else Reason.ROUTE_MODE
    try:
        return await _serve(record, role, reason)
    except Trouble as trouble:
        if not record.plan.backup:
            raise
        why = _student_trouble(trouble) if role is Role.STUDENT else Reason.TEACHER_UNAVAILABLE
        return await _serve(record, role.other, why)


async def _cascade(record: Record) -> Answer:
    try:
        draft = await _draft(record)
    except Trouble as trouble:
        return await _serve(record, Role.TEACHER, _student_trouble(trouble))
    if draft.verdict is Verdict.COMMIT:
        record.decide(Role.STUDENT, Reason.CONFIDENT)
        return draft.heard()
    draft.hang_up()
    reason = Reason.NO_SIGNAL if record.confidence is None else Reason.LOW_CONFIDENCE
    try:
        return await _serve(record, Role.TEACHER, reason)
    except Trouble:
        if draft.complete:
            record.decide(Role.STUDENT, Reason.TEACHER_UNAVAILABLE)
            return draft.heard()
        return await _serve(record, Role.STUDENT, Reason.TEACHER_UNAVAILABLE)


def _student_trouble(trouble: Exception) -> Reason:
    timed_out = isinstance(trouble, UpstreamTimedOut)
    return Reason.STUDENT_TIMEOUT if timed_out else Reason.STUDENT_ERROR


async def _serve(record: Record, role: Role, reason: Reason) -> Answer:
    """Ask one model for the whole answer, or for a stream up to its first chunk."""
    asked = record.asked
    transcript = record.begin(role)
    upstream = transcript.upstream
    call = Call(_CHAT, asked.body_for(upstream.model))
    try:
        if asked.stream:
            events = await upstream.stream(call)
            with events.closed_on_error():
                opening = await _opening(transcript, events)
            record.decide(role, reason)
            return Stream(asked, transcript, [opening], events)
        whole = await upstream.ask(call)
        reply = transcript.hear(whole)
    except Trouble as trouble:
        transcript.ended(complete=False, error=trouble)
        raise
    transcript.ended(complete=True)
    record.decide(role, reason)
    shown = for_client(asked, whole, reply)
    assert shown is not None  # noqa: S101 - only chunks of a stream are dropped
    return shown


async def _opening(transcript: Transcript, events: EventStream) -> Heard:
    payload = await events.next()
    if payload is None:
        raise UpstreamFailed(transcript.upstream.name, "the stream held nothing but [DONE]")
    return payload, transcript.hear(payload)


@dataclass(slots=True)
class _Draft:
    """What the student wrote until the gate ruled. `events`: where the rest comes from."""

    record: Record
    transcript: Transcript
    verdict: Verdict
    held: list[Heard]
    events: EventStream | None
    complete: bool

    def heard(self) -> Answer:
        if self.events is not None:
            return Stream(self.record.asked, self.transcript, self.held, self.events)
        (payload, reply), *_ = self.held
        return for_client(self.record.asked, payload, reply) or b""

    def hang_up(self) -> None:
        if self.events is not None:
            self.events.close()
        self.transcript.ended(complete=self.complete)


async def _draft(record: Record) -> _Draft:
    """Let the student write until the gate rules."""
    gate = AnswerGate(record.route.rule(stream=record.asked.stream), record.asked.choices)
    transcript = record.begin(Role.STUDENT)
    call = Call(_CHAT, record.asked.body_for(transcript.upstream.model, observe=True))
    try:
        if record.asked.stream:
            draft = await _streamed_draft(record, transcript, gate, call)
        else:
            whole = await transcript.upstream.ask(call)
            held = [(whole, transcript.hear(whole))]
            _feed(gate, record, held[0][1])
            transcript.ended(complete=True)
            draft = _Draft(record, transcript, gate.finish(), held, None, complete=True)
    except Trouble as trouble:
        transcript.ended(complete=False, error=trouble)
        raise
    finally:
        record.tokens_seen, record.confidence = gate.tokens, gate.confidence
    return draft


async def _streamed_draft(
    record: Record, transcript: Transcript, gate: AnswerGate, call: Call
) -> _Draft:
    events = await transcript.upstream.stream(call)
    held: list[Heard] = []
    verdict = Verdict.WAIT
    with events.closed_on_error():
        while verdict is Verdict.WAIT:
            if (payload := await events.next()) is None:
                transcript.ended(complete=True)
                return _Draft(record, transcript, gate.finish(), held, events, complete=True)
            reply = transcript.hear(payload)
            held.append((payload, reply))
            verdict = _feed(gate, record, reply)
    return _Draft(record, transcript, verdict, held, events, complete=False)


def _feed(gate: AnswerGate, record: Record, reply: Reply) -> Verdict:
    for choice in reply.choices:
        if not 0 <= choice.index < record.asked.choices:
            name = record.route.student.name
            raise UpstreamFailed(name, f"sent choice {choice.index} of {record.asked.choices}")
        for token in choice.tokens():
            gate.feed(choice.index, token.text(), token.logprob)
    return gate.verdict
