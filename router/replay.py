"""What a threshold would have done to the traffic that was recorded: no model is called."""

from dataclasses import dataclass

import numpy as np

from router.evidence import Evidence
from router.fidelity import estimate_fidelity
from router.interval import Interval, wilson_interval


@dataclass(frozen=True, slots=True)
class Replayed:
    """At this threshold: the share that the student serves, what of it is wrong, what is saved.

    coverage, risk: with 95 % intervals; risk is of what the student serves, weighted by propensity,
    and None where nothing of it was judged. judged: pairs behind it. saving: share of the teacher's
    bill that is not paid; None where prices are unknown.
    """

    threshold: float
    coverage: Interval
    risk: Interval | None
    judged: int
    saving: float | None


def replay(evidence: Evidence, threshold: float, *, pairs: Evidence | None = None) -> Replayed:
    """pairs: where the risk is read, if not all over. Raises ValueError if there is no evidence."""
    if not len(evidence):
        raise ValueError("evidence: there is no request in it")
    served = evidence.served(threshold)
    pairs = evidence if pairs is None else pairs
    judged = pairs.part(pairs.served(threshold) & pairs.judged)
    return Replayed(
        threshold,
        coverage=wilson_interval(float(served.mean()), len(served)),
        risk=_risk(judged),
        judged=len(judged),
        saving=_saving(evidence, threshold),
    )


def _risk(judged: Evidence) -> Interval | None:
    """One less fidelity, of what the student serves."""
    pairs = zip(judged.loss.tolist(), judged.propensity.tolist(), strict=True)
    found = estimate_fidelity(pairs)
    return Interval(found.estimate, found.low, found.high) if found is not None else None


def _saving(evidence: Evidence, threshold: float) -> float | None:
    """A deferral pays both. Of the requests whose prices are known."""
    known = ~np.isnan(evidence.student_usd) & ~np.isnan(evidence.teacher_usd)
    teacher = evidence.teacher_usd[known]
    if not teacher.sum() > 0.0:
        return None
    deferred = ~evidence.served(threshold)[known]
    draft = evidence.student_usd if evidence.draft_usd is None else evidence.draft_usd
    student = np.where(deferred, draft[known], evidence.student_usd[known])
    spent = student.sum() + teacher[deferred].sum()
    return float(1.0 - spent / teacher.sum())
