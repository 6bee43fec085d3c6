"""Which traces a student may learn from, why each was taken, and how many requests it stands for.

Everything where it went wrong or nearly did is taken; of what both models say alike only a sample,
drawn by propensity, so that the student does not forget what it can.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence

from distill.funnel import Funnel
from distill.rows import Row, Why
from distill.task import Task
from router.evidence import Record
from router.trace import Exchange, Judge, Judgement, ModelAnswer, Outcome, ServedBy
from serving.checked import Checked

_IMPORTED = "imported"
"""The mode of exchanges that `tutelage traces import` made."""


class HarvestRules(Checked):
    """near: a student's answer that was served with a confidence less than this above the
    threshold is one of low confidence. agreement_share: pairs that agree, for each row that was
    taken for any other reason.
    """

    near: float = 0.1
    agreement_share: float = 0.5
    bad_score: float = 0.5


def harvest(
    records: Iterable[Record], task: Task, rules: HarvestRules, funnel: Funnel
) -> list[Row]:
    """Rows in the order of arrival. Each rule counts what it removed.

    A shadow's answer is not kept in the trace, only where it parts from the student's: such a row
    has no teacher's answer yet. Where the two agree, the student's is the teacher's.
    """
    rows: list[Row] = []
    read = wrong_form = uninteresting = 0
    for exchange, judgements in records:
        read += 1
        text = task.text_of(bytes(exchange.request)) if exchange.request else None
        if text is None:
            wrong_form += 1
        elif (row := _row(exchange, judgements, text, rules)) is None:
            uninteresting += 1
        else:
            rows.append(row)
    funnel.count("no request of this task", read, wrong_form)
    funnel.count("nothing to learn from it", read - wrong_form, uninteresting)
    return sample_agreement(rows, rules, funnel)


def sample_agreement(rows: Sequence[Row], rules: HarvestRules, funnel: Funnel) -> list[Row]:
    """All but a sample of the agreeing pairs goes; pairs that stand for many are likelier kept.

    Weighted sampling without replacement: the largest u^(1/w) stay (Efraimidis and Spirakis,
    2006), with u a hash of the trace id, so that the same traces give the same sample.
    """
    agreeing = [row for row in rows if row.why is Why.AGREEMENT]
    wanted = math.ceil(rules.agreement_share * (len(rows) - len(agreeing)))
    drawn = sorted(agreeing, key=lambda row: -math.log(_uniform(row.trace_id)) / row.weight)
    kept = {row.trace_id for row in drawn[:wanted]}
    return funnel.keep(
        "agreement beyond the sample",
        rows,
        lambda row: row.why is not Why.AGREEMENT or row.trace_id in kept,
    )


def _row(
    exchange: Exchange, judgements: Sequence[Judgement], text: str, rules: HarvestRules
) -> Row | None:
    correction = next((j.correction for j in judgements[::-1] if j.correction), None)
    why = _why(exchange, judgements, correction, rules)
    if why is None:
        return None
    pairs = [j for j in judgements if j.agreement is not None and j.by is not Judge.FEEDBACK]
    student = _said(exchange.student)
    propensity = pairs[0].propensity if pairs and why in {Why.DIVERGENCE, Why.AGREEMENT} else 1.0
    return Row(
        trace_id=exchange.trace_id,
        ts=exchange.ts,
        text=text,
        why=why,
        weight=1.0 / propensity,
        student=student,
        teacher=_said(exchange.teacher) or (student if why is Why.AGREEMENT else None),
        correction=correction,
        confidence=exchange.confidence,
    )


def _why(
    exchange: Exchange,
    judgements: Sequence[Judgement],
    correction: str | None,
    rules: HarvestRules,
) -> Why | None:
    """None: nobody asked a second model, and the student was sure; or the request failed."""
    if exchange.outcome is not Outcome.SERVED:
        return None
    scores = [j.agreement for j in judgements if j.by is Judge.FEEDBACK and j.agreement is not None]
    pairs = [
        j.agreement for j in judgements if j.by is not Judge.FEEDBACK and j.agreement is not None
    ]
    sure, least = exchange.confidence, exchange.threshold
    unsure = sure is not None and least is not None and sure < least + rules.near
    by_teacher = exchange.served_by in {ServedBy.TEACHER, ServedBy.BOTH}
    found = {
        Why.CORRECTION: correction is not None,
        Why.NEGATIVE_FEEDBACK: bool(scores) and min(scores) < rules.bad_score,
        Why.DIVERGENCE: bool(pairs) and min(pairs) < 1.0,
        Why.IMPORTED: exchange.mode == _IMPORTED,
        Why.FALLBACK: by_teacher and not exchange.pinned,
        Why.AGREEMENT: bool(pairs),
        Why.LOW_CONFIDENCE: unsure and not exchange.pinned,
    }
    return next((why for why, is_it in found.items() if is_it), None)


def _said(answer: ModelAnswer | None) -> str | None:
    """Whole answers only: what was hung up on at the window teaches half a sentence."""
    return answer.text if answer is not None and answer.complete and answer.text else None


def _uniform(trace_id: str) -> float:
    """In (0, 1)."""
    digest = hashlib.blake2b(trace_id.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64
