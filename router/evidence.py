"""What was recorded of a route's requests, as arrays: all that is known of any other threshold."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.deferral import Bools, Floats
from router.ruled import ruled
from router.sampling import is_sampled
from router.trace import COMPARING, Exchange, Judge, Judgement, Reason, ServedBy

_BLOCK_S = 3600.0
_MISSED = frozenset({"shed", "failed"})
"""Comparators of judgements that say there is no pair, although the request was sampled."""

Record = tuple[Exchange, Sequence[Judgement]]
Confidence = Callable[[Exchange], float | None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry a request that a gate ruled on, in the order of their arrival.

    confidence: as the gate would have it; 0 where it read nothing. servable: it read something, and
    no check failed, so that a low enough threshold would have served the student's answer.
    loss: 1 - agreement; NaN where it was not judged. propensity: of being judged; NaN where it
    could not have been. student_usd, teacher_usd: what either alone costs; NaN where unknown.
    draft_usd: what a deferral has spent on the student, where that is not `student_usd`.
    """

    confidence: Floats
    servable: Bools
    loss: Floats
    propensity: Floats
    student_usd: Floats
    teacher_usd: Floats
    judged: Bools
    missed: int = 0
    """Sampled requests without a pair (shed, failed): their like stands in, by the hour."""
    draft_usd: Floats | None = None

    def __len__(self) -> int:
        return len(self.confidence)

    def served(self, threshold: float) -> Bools:
        """Whom the student would have served."""
        return self.servable & (self.confidence >= threshold)

    def part(self, chosen: Bools | npt.NDArray[np.intp]) -> "Evidence":
        """The chosen ones, or all in another order; `missed` stays that of the whole."""
        return Evidence(
            self.confidence[chosen],
            self.servable[chosen],
            self.loss[chosen],
            self.propensity[chosen],
            self.student_usd[chosen],
            self.teacher_usd[chosen],
            self.judged[chosen],
            self.missed,
            self.draft_usd[chosen] if self.draft_usd is not None else None,
        )


def is_planned_on(exchange: Exchange, share: float) -> bool:
    """Whether it belongs to the part that fits and plans, which the promise is not tested on."""
    return is_sampled(exchange.trace_id, share, salt="tune")


def gather(records: Sequence[Record], comparator: str, confidence: Confidence) -> Evidence:
    """Of the records that a gate ruled on; `comparator` is the one that defines agreement.

    Where pairs were missed, the propensity of those of the same hour is what was drawn times the
    share that came: so busy hours, in which shadows give way, count for what they are.
    """
    records = judgeable(records)
    number = len(records)
    evidence = Evidence(
        confidence=np.zeros(number),
        servable=np.zeros(number, dtype=np.bool_),
        loss=np.full(number, np.nan),
        propensity=np.full(number, np.nan),
        student_usd=np.full(number, np.nan),
        teacher_usd=np.full(number, np.nan),
        missed=sum(_missed(judgements) for _, judgements in records),
        judged=np.zeros(number, dtype=np.bool_),
    )
    came = _came(records)
    for at, (exchange, judgements) in enumerate(records):
        sure = confidence(exchange)
        failed_check = _deferred_for(exchange).startswith("check_failed:")
        evidence.confidence[at] = sure or 0.0
        evidence.servable[at] = sure is not None and not failed_check
        if exchange.propensity is not None:
            shadowed = exchange.propensity if exchange.propensity < 1.0 else None
            came_of_it = came.get(_hour(exchange), 1.0) if shadowed is not None else 1.0
            evidence.propensity[at] = exchange.propensity * came_of_it
        if (agreement := agreement_of(judgements, comparator)) is not None:
            evidence.loss[at], evidence.judged[at] = 1.0 - agreement, True
        if exchange.served_by is ServedBy.BOTH:
            continue  # a verified answer: what it cost is neither a draft's nor a teacher's price
        if exchange.cost_usd is not None and exchange.saved_usd is not None:
            by_student = exchange.served_by is ServedBy.STUDENT
            # saved = teacher's price of what was served - all that was spent, student's included
            evidence.teacher_usd[at] = exchange.cost_usd + exchange.saved_usd
            evidence.student_usd[at] = exchange.cost_usd if by_student else -exchange.saved_usd
    return evidence


def _deferred_for(exchange: Exchange) -> str:
    """Why the student did not serve, also where the teacher let its words stand."""
    if exchange.reason is Reason.VERIFIED and exchange.verification is not None:
        return exchange.verification.deferred
    return exchange.reason or ""


def judgeable(records: Sequence[Record]) -> Sequence[Record]:
    """What a gate ruled on, from the first to the last that could have been judged: before and
    after shadowing was off. Where it never was on, all of them.
    """
    records = [each for each in records if ruled(each[0])]
    at = [place for place, (each, _) in enumerate(records) if each.propensity is not None]
    return records[at[0] : at[-1] + 1] if at else records


def agreement_of(judgements: Iterable[Judgement], comparator: str) -> float | None:
    """The first by this comparator; None if there is none."""
    found = (
        each.agreement
        for each in judgements
        if each.comparator == comparator and each.agreement is not None
    )
    return next(found, None)


def first_comparator(records: Sequence[Record]) -> str | None:
    """The route's first, by the latest request that was compared; None where nothing was."""
    for _, judgements in reversed(records):
        for each in judgements:
            if each.agreement is not None and each.by in COMPARING:
                return each.comparator
    return None


def _came(records: Sequence[Record]) -> dict[int, float]:
    """The share of sampled requests that a pair came of, for each hour in which some did not."""
    sampled: Counter[int] = Counter()
    missed: Counter[int] = Counter()
    for exchange, judgements in records:
        if not any(each.by is Judge.SHADOW for each in judgements):
            continue
        sampled[_hour(exchange)] += 1
        missed[_hour(exchange)] += _missed(judgements)
    return {
        hour: (sampled[hour] - gone) / sampled[hour]
        for hour, gone in missed.items()
        if 0 < gone < sampled[hour]
    }


def _missed(judgements: Iterable[Judgement]) -> bool:
    return any(each.comparator in _MISSED and each.agreement is None for each in judgements)


def _hour(exchange: Exchange) -> int:
    return int(exchange.ts // _BLOCK_S)
