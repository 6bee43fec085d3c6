"""A shadow for the price of a prefill: the teacher reads what the student served.

Where it would have written the very same, nothing more is asked, and the two agree by every
comparator. Where not, it is asked for its own words as without this, since only they say by how
much the two part. A tie counts as the same: who reads cannot tell which of two equals is written.
"""

import math

from gateway.call import Call
from gateway.errors import GaveWay, UpstreamFailed, UpstreamRejected
from gateway.judging import Judging
from gateway.record import Record
from gateway.verify_calls import PATH, read_back, reading_body
from gateway.verify_pair import VerifyPair
from gateway.verify_wish import Unfit, check_is_text
from router.trace import Judge, Judgement, Usage
from router.verification import Ending, Verification
from router.verify import Draft, Ruling, rule_on
from router.verify_rules import Drafted, Greedy, Lenient, Reading, Rule

UNREAD = "unread"
"""The comparator of a judgement that says why nothing was read."""


async def reads_as_its_own(record: Record, pair: VerifyPair, judging: Judging) -> bool:
    """Whether the teacher would have served the student's answer, word by word; judged, if it could
    be read. False on routes whose shadows are not read. Raises GaveWay.
    """
    if not pair.shadows:
        return False
    try:
        prompt, ids = _served(record)
        check_is_text(record.asked.fields)
        await pair.check(None)
        body = reading_body(
            pair.teacher.model,
            [*prompt, *ids],
            top=pair.top_logprobs,
            priority=pair.teacher.background_priority,
        )
        call = Call(PATH, body, affinity=record.trace_id.encode(), background=True)
        whole = await pair.teacher.ask(call)
        readings, spent = read_back(pair.teacher.name, whole, ids, top=pair.top_logprobs)
    except GaveWay:
        raise
    except (Unfit, UpstreamFailed, UpstreamRejected) as trouble:
        propensity = _propensity(record)
        judging.none(record, UNREAD, str(trouble), by=Judge.VERIFICATION, propensity=propensity)
        return False
    rule = comparing(pair.rule)
    # The rule looks at what the teacher thinks alone.
    tokens = tuple(Drafted(each, b"", 0.0, 0.0) for each in ids)
    ruling = rule_on(rule, Draft(tokens, finished=True), readings)
    _judge(record, judging, _read(rule, ruling, ids, readings, spent))
    return ruling.whole


def comparing(rule: Rule) -> Rule:
    """What counts as the same: within `tie_nats` of the teacher's first choice, if it says how
    near that is; else the first choice, or its equal.
    """
    ties = rule.tie_nats if isinstance(rule, Greedy) else 0.0
    return Lenient(-math.expm1(-ties))


def _served(record: Record) -> tuple[list[int], list[int]]:
    """The ids of the prompt and of the whole answer. Raises Unfit."""
    work, student = record.verification, record.student
    if work is None or student is None or not student.complete:
        raise Unfit("the student was not heard to its end")
    if work.notes is None or work.wish is None:
        raise Unfit(work.why_not)
    if not work.wish.greedy:
        raise Unfit("the client samples (temperature is not 0): there is no one answer to expect")
    if work.notes.prompt_ids is None or not work.notes.token_ids:
        raise Unfit("the student told no token ids")
    return work.notes.prompt_ids, work.notes.token_ids


def _read(
    rule: Rule, ruling: Ruling, ids: list[int], readings: tuple[Reading, ...], spent: Usage
) -> Verification:
    return Verification(
        rule=str(rule),
        deferred="",
        ending=Ending.KEPT if ruling.whole else Ending.REJECTED,
        kept=ruling.agreed,
        agreed=ruling.agreed,
        token_ids=tuple(ids),
        readings=readings,
        read_tokens=spent.prompt_tokens,
        written_tokens=spent.completion_tokens,
    )


def _judge(record: Record, judging: Judging, found: Verification) -> None:
    """By the share of tokens up to the first that the teacher would not have written."""
    drafted = len(found.token_ids)
    judging.traces.put(
        Judgement(
            trace_id=record.trace_id,
            by=Judge.VERIFICATION,
            comparator="tokens",
            agreement=found.agreed / drafted,
            detail=f"{found.rule}: {found.agreed} of {drafted}",
            propensity=_propensity(record),
            ts=judging.clock.unix_s(),
            verification=found,
        )
    )


def _propensity(record: Record) -> float:
    """As it was drawn."""
    return record.propensity if record.propensity is not None else record.route.shadow_rate
