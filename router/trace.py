"""The record of one request, and the judgements that point to it later.

JSON, one object a record. A field that is added has a default and keeps the schema number; a
change that old readers would misread raises it, and they refuse. JSON that came from a client or a
model is kept as its bytes (`msgspec.Raw`); where there is none the field is `UNSET`, not None,
because msgspec cannot decode `Raw | None`.
"""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw, UnsetType

from router.name import Name
from router.opening import Opening
from router.signals import Signals
from router.verification import Verification

SCHEMA = 1


class UnreadableTraceError(ValueError):
    """The bytes are not a record this version can read; the message says why."""


class ServedBy(Name):
    """Whose words the client read."""

    STUDENT = "student"
    TEACHER = "teacher"
    BOTH = "both"


class Reason(Name):
    """Why that model served: the value of `x-tutelage-reason`."""

    CONFIDENT = "confident"
    LOW_CONFIDENCE = "low_confidence"
    PINNED = "pinned"
    ROUTE_MODE = "route_mode"  # the route's mode names one model
    SPECULATIVE = "speculative"  # the route's mode: the teacher's words, drafted by the student
    STUDENT_ERROR = "student_error"
    STUDENT_TIMEOUT = "student_timeout"
    NO_SIGNAL = "no_signal"  # the student sent no logprobs
    # What the student said fails one of the route's `checks`, whatever its confidence.
    CHECK_JSON_SCHEMA = "check_failed:json_schema"
    CHECK_TOOL_ARGUMENTS = "check_failed:tool_arguments"
    CHECK_TRUNCATED = "check_failed:truncated"
    CHECK_REPETITION = "check_failed:repetition"
    CHECK_REFUSAL = "check_failed:refusal"
    CHECK_EMPTY = "check_failed:empty"
    VERIFIED = "verified"  # a deferral; the teacher read the draft, and let some or all of it stand
    CANARY = "canary"  # the candidate's student, where the incumbent's would have served
    TAKEOVER = "takeover"  # committed; then confidence fell, and the teacher went on (traces only)
    TEACHER_UNAVAILABLE = "teacher_unavailable"  # the student's answer, for want of a teacher

    @classmethod
    def of_check(cls, check: str) -> "Reason":
        return cls(f"check_failed:{check}")


class Outcome(Name):
    """How the exchange ended for the client."""

    SERVED = "served"
    CLIENT_LEFT = "client_left"
    FAILED = "failed"  # an error instead of an answer
    CUT = "cut"  # an error after the first byte


class Judge(Name):
    """Who compared two answers."""

    SHADOW = "shadow"  # off the path, on a sample
    VERIFICATION = "verification"  # the teacher read the student's tokens
    FALLBACK = "fallback"  # both answers were there, since the student deferred
    FEEDBACK = "feedback"  # somebody who read the answer


COMPARING = frozenset({Judge.SHADOW, Judge.FALLBACK})
"""Who hold the student's answer to the teacher's."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as the upstream counted them; the cached ones are among the prompt's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Drafted(msgspec.Struct, frozen=True):
    """What an engine that speculates says of one answer.

    steps: how often the model looked at a draft. tokens: of all drafts together; accepted: those of
    them that it let stand.
    """

    steps: int
    tokens: int
    accepted: int


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one upstream said. Times run from the start of its call.

    complete: False if it was hung up on (at the window, by the client) or was cut.
    tool_calls: the JSON array as the model sent it.
    drafted: where its engine speculates and says so.
    """

    upstream: str
    model: str
    text: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    first_token_s: float | None = None
    total_s: float | None = None
    status: int | None = None
    error: str | None = None
    tool_calls: Raw | UnsetType = UNSET
    complete: bool = True
    drafted: Drafted | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True, tag="exchange", tag_field="kind"):
    """One request and what became of it.

    ts: unix seconds of its arrival. total_s: arrival to the last byte.
    served_by, reason: None if nobody served, which is an error.
    confidences: each choice's own, where there are several (n > 1).
    signals: what the gate read; of several choices, the least confident one's. opening: of a stream
    that a window ruled on, the same token by token.
    verification: of a deferral on a route that verifies, and of a takeover.
    propensity: the probability with which it was chosen for a shadow, whether it was or not;
    None if it could not have been (pinned, say).
    """

    schema: int = SCHEMA
    trace_id: str
    ts: float
    route: str
    caller: str | None = None
    release: str | None = None
    stream: bool
    request: Raw | UnsetType = UNSET
    mode: str
    pinned: bool
    served_by: ServedBy | None = None
    reason: Reason | None = None
    confidence: float | None = None
    confidences: tuple[float | None, ...] = ()
    signals: Signals | None = None
    opening: Opening | None = None
    threshold: float | None = None
    tokens_seen: int | None = None
    propensity: float | None = None
    student: ModelAnswer | None = None
    teacher: ModelAnswer | None = None
    verification: Verification | None = None
    status: int
    outcome: Outcome
    cost_usd: float | None = None
    saved_usd: float | None = None
    total_s: float


class Judgement(msgspec.Struct, frozen=True, kw_only=True, tag="judgement", tag_field="kind"):
    """A comparison of the two answers to one request, or what somebody thought of the one served.

    agreement: in [0, 1]; of feedback its score, None where it is words alone; of a shadow None
    where there was nothing to compare: its comparator is then `failed`, or `shed` where it was not
    asked since clients needed the room. detail: where they part, or why there is no pair; of
    feedback, the comment. propensity: in (0, 1], 1 if every request of its kind is judged; of
    feedback 1, although readers choose themselves. ts: unix seconds.
    verification: by verification alone, of what the student served; a deferral's is the exchange's.
    Of feedback alone: caller, whose key it came with; label, a word of theirs; correction, what
    the answer should have been.
    """

    schema: int = SCHEMA
    trace_id: str
    by: Judge
    comparator: str
    agreement: float | None
    detail: str
    propensity: float
    ts: float
    caller: str | None = None
    label: str | None = None
    correction: str | None = None
    verification: Verification | None = None


_encoder = msgspec.json.Encoder()
_exchanges = msgspec.json.Decoder(Exchange)
_judgements = msgspec.json.Decoder(Judgement)


def encode(record: Exchange | Judgement) -> bytes:
    """One line of JSON. Raises UnicodeEncodeError for text with lone surrogates.

    Raw JSON that runs over several lines is put on one; nothing else of it changes.
    """
    line = _encoder.encode(record)
    # find: `in` first takes the bytes for a number, and fails, which is slow.
    return msgspec.json.format(line, indent=-1) if line.find(b"\n") >= 0 else line


def export_lines(exchange: Exchange, judgements: Iterable[Judgement]) -> bytes:
    """As an export has them: the exchange on a line, each of its judgements on the next."""
    return b"\n".join([encode(exchange), *map(encode, judgements), b""])


def decode_exchange(line: bytes) -> Exchange:
    """The exchange that `encode` wrote. Raises UnreadableTraceError."""
    try:
        exchange = _exchanges.decode(line)
    except msgspec.DecodeError as error:
        raise UnreadableTraceError(f"not an exchange of schema {SCHEMA}: {error}") from error
    _check_schema(exchange.schema)
    return exchange


def decode_judgement(line: bytes) -> Judgement:
    """The judgement that `encode` wrote. Raises UnreadableTraceError."""
    try:
        judgement = _judgements.decode(line)
    except msgspec.DecodeError as error:
        raise UnreadableTraceError(f"not a judgement of schema {SCHEMA}: {error}") from error
    _check_schema(judgement.schema)
    return judgement


def new_trace_id(now_s: float, random: bytes) -> str:
    """A UUIDv7 (RFC 9562): it sorts by time, to the millisecond. `random` is 10 random bytes, of
    which six bits give way to the version and the variant.
    """
    if len(random) != _RANDOM_BYTES:
        raise ValueError(f"random must be {_RANDOM_BYTES} bytes, got {len(random)}")
    time = (int(now_s * 1000) & _TIME_BITS) << 80
    digits = f"{time | int.from_bytes(random) & _RANDOM_BITS | _VERSION_AND_VARIANT:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_TIME_BITS = (1 << 48) - 1
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_RANDOM_BITS = (1 << 80) - 1 & ~(0xF << 76 | 0b11 << 62)
_RANDOM_BYTES = 10


def _check_schema(schema: int) -> None:
    if schema > SCHEMA:
        raise UnreadableTraceError(
            f"schema {schema} is newer than {SCHEMA}, the newest that this version reads: upgrade"
        )
