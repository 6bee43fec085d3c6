"""A committed stream whose confidence is watched; where it falls, the teacher goes on from there.

The event that shows the fall is not sent. What was sent stays: the teacher gets the ids of exactly
those tokens and writes what comes after them, so that nothing is lost and nothing comes twice. The
student is hung up on when the teacher has begun; where the teacher cannot, the student goes on.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from gateway.call import Call
from gateway.errors import UpstreamFailed, UpstreamRejected
from gateway.events import Events
from gateway.record import Record
from gateway.reply import Reply
from gateway.route import Role
from gateway.stream import Stream
from gateway.verify_calls import PATH, continuing_body
from gateway.verify_form import Continued, Voice
from gateway.verify_notes import Notes
from gateway.verify_pair import VerifyPair
from gateway.verify_wish import Unfit, Wish, check_is_text
from gateway.verifying import Verifying
from gateway.wire import UNREADABLE, is_there
from router.collapse import CollapseRule, CollapseWatch
from router.trace import Reason, Usage
from router.verification import Ending
from router.verify import text_of, whole_characters
from router.verify_rules import Drafted


def watch(record: Record, pair: VerifyPair, rule: CollapseRule, stream: Stream) -> None:
    """From now on, if the request is such that its text can be gone on from."""
    work = record.verification
    if work is None or work.notes is None or work.wish is None or work.wish.whole_only:
        return
    going_on = _GoingOn(record, pair, work, work.notes, work.wish)
    stream.events = _Watched(going_on, CollapseWatch(rule, record.rule()), stream)


@dataclass(frozen=True, slots=True)
class _GoingOn:
    """What the teacher needs to go on from the student's tokens."""

    record: Record
    pair: VerifyPair
    work: Verifying
    notes: Notes
    wish: Wish

    @property
    def prompt(self) -> list[int]:
        return self.notes.prompt_ids or []

    def most_tokens(self, kept: int) -> int:
        """How many more may follow. Raises Unfit."""
        limit, context = self.wish.limit, self.pair.context_tokens
        if limit is None and context is None:
            raise Unfit("the client sets no limit, and the teacher's context is not known")
        rooms = [
            limit - kept if limit is not None else None,
            context - len(self.prompt) - kept if context is not None else None,
        ]
        if (most := min(room for room in rooms if room is not None)) < 1:
            raise Unfit("there is no room for another token")
        return most

    def call(self, kept: list[int], most: int) -> Call:
        record, teacher = self.record, self.pair.teacher
        prompt = [*self.prompt, *kept]
        body = continuing_body(teacher.model, prompt, record.asked, max_tokens=most)
        return record.follow_up(PATH, body, teacher.affinity_of(record.asked.fields))

    def voice(self, first: bytes, kept: int) -> Voice:
        """The student's, to the last chunk, which tells."""
        told = {
            "served_by": "both",
            "reason": Reason.TAKEOVER.value,
            "model": self.pair.teacher.model,
            "student_tokens": kept,
        }
        return Voice(
            self.pair.teacher.name,
            first,
            model=self.pair.student.model,
            chat=self.record.asked.path != PATH,
            at_end={"tutelage": told},
        )


class _Watched:
    """Events of the student's, then of the teacher's."""

    def __init__(self, going_on: _GoingOn, watch: CollapseWatch, stream: Stream) -> None:
        self._going_on = going_on
        self._stream = stream
        self._events = stream.events
        self._first, _ = stream.held[0]
        self._tokens: list[Drafted] = []
        self._said = ""
        self._watch: CollapseWatch | None = watch
        """None once nothing is watched any more."""
        for _, reply in stream.held:
            watch.committed(self._sends(reply))

    @property
    def ready(self) -> bool:
        """One event at a time while it is watched: those before a takeover do not wait for it."""
        return self._watch is None and self._events.ready

    async def next(self) -> bytes | None:
        told = len(self._going_on.notes.token_ids)
        payload = await self._events.next()
        if payload is None or self._watch is None:
            return payload
        try:
            reply = self._going_on.record.asked.hear(payload, stream=True)
            nats = [each for part in reply.parts for _, each in part.tokens()]
        except UNREADABLE:
            return payload  # whoever reads it next says what is wrong with it
        if self._watch.feed(nats) and not _ends(reply) and self._can_be_cut(told):
            self._watch = None
            if (teacher := await self._teacher()) is not None:
                self._events = teacher
                return await teacher.next()
        self._sends(reply)
        return payload

    def closed_on_error(self) -> AbstractContextManager[None]:
        return self._events.closed_on_error()

    def close(self) -> None:
        self._events.close()

    def _sends(self, reply: Reply) -> list[float]:
        """Note what the client is about to read; returns its tokens' log-probabilities."""
        if _ends(reply) or _says_more(reply):
            self._watch = None
        tokens = [token for part in reply.parts for token in part.tokens()]
        ids = self._going_on.notes.token_ids[len(self._tokens) :]
        pairs = zip(ids, tokens, strict=False)  # where they differ, it cannot be cut
        self._tokens += [Drafted(each, text, nats, nats) for each, (text, nats) in pairs]
        self._said += "".join(part.said.words or "" for part in reply.parts)
        return [nats for _, nats in tokens]

    def _can_be_cut(self, told: int) -> bool:
        """Whether what the client has read is so many tokens, and no part of a character."""
        whole = whole_characters(self._tokens, len(self._tokens))
        return len(self._tokens) == told and text_of(self._tokens[:whole]) == self._said

    async def _teacher(self) -> Events | None:
        """Its words from here on; None where it cannot, and the trace says why."""
        on = self._going_on
        record, work, upstream = on.record, on.work, on.pair.teacher
        work.deferred = Reason.TAKEOVER.value
        whole = whole_characters(self._tokens, len(self._tokens))
        kept = [each.token_id for each in self._tokens[:whole]]
        try:
            check_is_text(record.asked.fields)
            await on.pair.check(record.until_s)
            call = on.call(kept, on.most_tokens(len(kept)))
        except Unfit as unfit:
            work.ended(Ending.UNFIT, str(unfit))
            return None
        heard = record.begin(Role.TEACHER)
        try:
            events = await upstream.stream(call)
            with events.closed_on_error():
                voice = on.voice(self._first, len(kept))
        except (UpstreamFailed, UpstreamRejected) as trouble:
            heard.ended(complete=False, error=trouble)
            work.ended(Ending.FAILED, str(trouble))
            return None
        self._hang_up()
        self._stream.transcript = heard
        for payload in voice.opening(self._said):  # what the client has read already
            heard.hear(payload, stream=True)
        work.kept = work.agreed = len(kept)
        work.token_ids = tuple(kept)
        work.ended(Ending.TAKEN_OVER)
        record.decide(Role.TEACHER, Reason.TAKEOVER)
        before = Usage(len(on.prompt), len(kept))
        work.continued = Continued(upstream.name, events, voice, before)
        return work.continued

    def _hang_up(self) -> None:
        """On the student, which has told no usage: it has read the prompt, and written its ids."""
        on, student = self._going_on, self._stream.transcript
        self._events.close()
        student.usage = Usage(len(on.prompt), len(on.notes.token_ids))
        student.ended(complete=False)


def _ends(reply: Reply) -> bool:
    return any(part.finish_reason is not None for part in reply.parts)


def _says_more(reply: Reply) -> bool:
    """Than words, which is all that can be gone on from."""
    told = [part.said for part in reply.parts]
    return any(is_there(each.calls) or each.thoughts or each.refusal for each in told)
