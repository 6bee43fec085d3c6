"""A deferral on a route that verifies: the teacher reads the draft instead of writing anew.

1. the student is asked for its token ids as well     4. the rule says how much of it stands
2. it defers: is this fit to be verified?             5. all of it: it is the answer
3. the teacher reads prompt and draft in one prefill  6. a part: the teacher goes on from there

Wherever this does not work out, the answer is None: the teacher writes anew, and the trace says
why. The client reads one voice in either case.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from gateway.call import Call
from gateway.errors import UpstreamFailed, UpstreamRejected
from gateway.record import Record
from gateway.route import Role
from gateway.stream import Heard, Stream
from gateway.transcript import Transcript
from gateway.verify_calls import (
    PATH,
    continuing_body,
    read_back,
    read_continuation,
    reading_body,
)
from gateway.verify_form import Continued, Over, Voice, joined
from gateway.verify_notes import Notes
from gateway.verify_pair import VerifyPair
from gateway.verify_wish import Unfit, check_is_text, read_wish
from gateway.verifying import Verifying
from gateway.wire import is_there
from router.trace import Reason, Usage
from router.verification import Ending
from router.verify import Draft, rule_on, text_of
from router.verify_rules import Drafted

_OVER = frozenset({"stop", "length", "tool_calls"})
_NOT_OVERRULED = "a check failed, which only the teacher's own words could overrule"
_ASK_IDS = b',"return_token_ids":true}'


def prepare(record: Record, pair: VerifyPair, call: Call) -> Call:
    """The student's call, with the wish for its ids where the request is fit for verification."""
    work = record.verification = Verifying(pair.rule)
    try:
        work.wish = read_wish(record.asked)
    except Unfit as unfit:
        work.why_not = str(unfit)
        return call
    if why_not := pair.known_unable:
        work.why_not = why_not
        return call
    work.notes = Notes()
    return replace(call, body=call.body[:-1] + _ASK_IDS)


@dataclass(frozen=True, slots=True)
class Deferral:
    """What the student wrote until it was clear that it defers. complete: to its own end."""

    student: Transcript
    held: list[Heard]
    complete: bool
    why: Reason


async def verified(record: Record, pair: VerifyPair, deferral: Deferral) -> bytes | Stream | None:
    """An answer that the teacher stands by, in part or wholly in the student's words; or None."""
    work = record.verification
    if work is None or not pair.deferrals:
        return None
    work.deferred = deferral.why.value
    try:
        await _check(record, pair, work)
        draft, continuable = _draft(work, deferral)
    except Unfit as unfit:
        work.ended(Ending.UNFIT, str(unfit))
        return None
    transcript = record.begin(Role.TEACHER)
    try:
        return await _Verification(record, pair, work, deferral, transcript).answer(
            draft, continuable=continuable
        )
    except (UpstreamFailed, UpstreamRejected) as trouble:
        transcript.ended(complete=False, error=trouble)
        work.ended(Ending.FAILED, str(trouble))
        return None


async def _check(record: Record, pair: VerifyPair, work: Verifying) -> None:
    """Raises Unfit."""
    if work.notes is None:
        raise Unfit(work.why_not)
    if pair.exact and work.wish is not None and not work.wish.greedy:
        raise Unfit(
            "the client samples (temperature is not 0): the exact rule needs greedy decoding"
        )
    if not pair.exact and work.deferred.startswith("check_failed:"):
        raise Unfit(_NOT_OVERRULED)
    check_is_text(record.asked.fields)
    await pair.check(record.until_s)


def _draft(work: Verifying, deferral: Deferral) -> tuple[Draft, bool]:
    """What was written, token by token; and whether its text can be gone on from. Raises Unfit."""
    notes = work.notes
    if notes is None or notes.prompt_ids is None or not notes.token_ids:
        raise Unfit("the student told no token ids")
    told = [token for _, reply in deferral.held for part in reply.parts for token in part.tokens()]
    if len(told) != len(notes.token_ids):
        raise Unfit(f"the student told {len(notes.token_ids)} ids and {len(told)} logprobs")
    pairs = zip(notes.token_ids, told, strict=True)
    tokens = tuple(Drafted(each, text, nats, nats) for each, (text, nats) in pairs)
    work.token_ids = tuple(notes.token_ids)
    choice = deferral.student.choices[0]
    finished = deferral.complete and choice.finish_reason in _OVER
    said = "".join(part.said.words or "" for _, reply in deferral.held for part in reply.parts)
    # Text that is held back (a part of a character) comes late; the end of a turn has none.
    plain = text_of(tokens).startswith(said) if not finished else said in _texts(tokens)
    return Draft(tokens, finished), plain and not any(map(_says_more, deferral.held))


def _says_more(heard: Heard) -> bool:
    """Than words: tool calls, thoughts, a refusal."""
    _, reply = heard
    told = [part.said for part in reply.parts]
    return any(is_there(each.calls) or each.thoughts or each.refusal for each in told)


def _texts(tokens: tuple[Drafted, ...]) -> tuple[str, str]:
    return text_of(tokens), text_of(tokens[:-1])


@dataclass(frozen=True, slots=True)
class _Verification:
    record: Record
    pair: VerifyPair
    work: Verifying
    deferral: Deferral
    transcript: Transcript

    async def answer(self, draft: Draft, *, continuable: bool) -> bytes | Stream | None:
        work, pair = self.work, self.pair
        whole = await pair.teacher.ask(self._call(self._reading()))
        top = pair.top_logprobs
        work.readings, work.reading = read_back(pair.teacher.name, whole, work.token_ids, top=top)
        ruling = rule_on(pair.rule, draft, work.readings)
        work.agreed = ruling.agreed
        if ruling.whole:
            work.kept = ruling.kept
            return self._kept()
        most = self._most_tokens(ruling.kept)
        why_not = self._why_not_continue(ruling.kept, continuable=continuable)
        if why_not or most is None:
            unlimited = "the client sets no limit, and the teacher's context is not known"
            work.ended(Ending.REJECTED, why_not or unlimited)
            return None
        work.kept = ruling.kept
        text = text_of(draft.tokens[: ruling.kept])
        return await self._continued(text, most)

    def _why_not_continue(self, kept: int, *, continuable: bool) -> str:
        wish = self.work.wish
        if not kept:
            return "no token stood"
        if wish is not None and wish.whole_only:
            return "the request asks for tools, a format or stop strings: whole or not at all"
        return "" if continuable else "the draft is more than its text: whole or not at all"

    def _reading(self) -> bytes:
        prompt = [*self._prompt_ids, *self.work.token_ids]
        return reading_body(self.pair.teacher.model, prompt, top=self.pair.top_logprobs)

    @property
    def _prompt_ids(self) -> list[int]:
        notes = self.work.notes
        return notes.prompt_ids or [] if notes is not None else []

    def _most_tokens(self, kept: int) -> int | None:
        """How many more may follow."""
        wish, context = self.work.wish, self.pair.context_tokens
        if wish is not None and wish.limit is not None:
            return wish.limit - kept
        return None if context is None else context - len(self._prompt_ids) - kept

    def _call(self, body: bytes) -> Call:
        record = self.record
        # The second call finds the first one's prefill where it was made.
        own = record.trace_id.encode()
        affinity = self.pair.teacher.affinity_of(record.asked.fields) or own
        return record.follow_up(PATH, body, affinity)

    def _voice(self) -> Voice:
        teacher, (first, _) = self.pair.teacher, self.deferral.held[0]
        chat = self.record.asked.path != PATH
        return Voice(teacher.name, first, model=teacher.model, chat=chat)

    def _kept(self) -> bytes | Stream:
        """The student's own answer, under the teacher's name."""
        voice, record = self._voice(), self.record
        payloads = [voice.renamed(payload) for payload, _ in self.deferral.held]
        answer = self._told(payloads, Over()) if record.asked.stream else self._shown(payloads[0])
        self._serves(Ending.KEPT)
        return answer

    async def _continued(self, text: str, most: int) -> bytes | Stream:
        record, teacher, work = self.record, self.pair.teacher, self.work
        prompt = [*self._prompt_ids, *work.token_ids[: work.kept]]
        body = continuing_body(teacher.model, prompt, record.asked, max_tokens=most)
        voice, before = self._voice(), Usage(len(self._prompt_ids), work.kept)
        if record.asked.stream:
            events = await teacher.stream(self._call(body))
            with events.closed_on_error():
                work.continued = Continued(teacher.name, events, voice, before)
                answer: bytes | Stream = self._told(voice.opening(text), work.continued)
        else:
            heard = read_continuation(teacher.name, await teacher.ask(self._call(body)))
            if not heard.choices:
                raise UpstreamFailed(teacher.name, "answered without a single choice")
            work.whole = heard.usage.spent() if heard.usage is not None else Usage()
            (choice, *_), usage = heard.choices, joined(before, work.whole)
            whole = voice.whole(text + choice.text, choice.finish_reason, usage)
            answer = self._shown(whole)
        self._serves(Ending.CONTINUED)
        return answer

    def _serves(self, ending: Ending) -> None:
        self.work.ended(ending)
        self.record.decide(Role.TEACHER, Reason.VERIFIED)

    def _shown(self, whole: bytes) -> bytes:
        record = self.record
        reply = self.transcript.hear(whole, stream=False)
        self.transcript.ended(complete=True)
        shown = record.asked.shown(whole, reply, record.route.origins[Role.TEACHER])
        assert shown is not None  # noqa: S101 - only events of a stream are dropped
        return shown

    def _told(self, payloads: list[bytes], rest: Continued | Over) -> Stream:
        record, transcript = self.record, self.transcript
        held = [(payload, transcript.hear(payload, stream=True)) for payload in payloads]
        origin = record.route.origins[Role.TEACHER]
        return Stream(record.asked, Role.TEACHER, origin, transcript, held, rest)
