"""Recorded traffic of a route whose student is right as often as it says."""

import numpy as np

from router.calibration import sigmoid
from router.evidence import Record
from router.signals import read_signals
from router.trace import (
    Exchange,
    Judge,
    Judgement,
    ModelAnswer,
    Outcome,
    Reason,
    ServedBy,
    new_trace_id,
)

THRESHOLD = 0.8
NOON_S = 1_800_000_000.0


def traffic(
    number: int, *, seed: int = 0, rate: float = 0.5, student: str = "small"
) -> list[Record]:
    """A student's answer costs 1, the teacher's 9. Deferrals are all judged, `rate` of the rest.

    P(agree) is sigmoid(log-odds of the one deciding token), which the gate rules by.
    """
    random = np.random.default_rng(seed)
    records: list[Record] = []
    for place, log_odds in enumerate(random.normal(3.0, 2.0, number).tolist()):
        confidence = sigmoid(log_odds)
        served = confidence >= THRESHOLD
        propensity = rate if served else 1.0
        trace_id = new_trace_id(NOON_S + place, random.bytes(10))
        exchange = Exchange(
            trace_id=trace_id,
            ts=NOON_S + place,
            route="support",
            stream=False,
            mode="cascade",
            pinned=False,
            served_by=ServedBy.STUDENT if served else ServedBy.TEACHER,
            reason=Reason.CONFIDENT if served else Reason.LOW_CONFIDENCE,
            confidence=confidence,
            signals=read_signals([float(np.log(confidence))]),
            threshold=THRESHOLD,
            propensity=propensity,
            student=ModelAnswer(upstream="student", model=student),
            status=200,
            outcome=Outcome.SERVED,
            cost_usd=1.0 if served else 10.0,
            saved_usd=8.0 if served else -1.0,
            total_s=1.0,
        )
        agrees, drawn = random.random() < confidence, random.random() < propensity
        judgement = Judgement(
            trace_id=trace_id,
            by=Judge.SHADOW if served else Judge.FALLBACK,
            comparator="label",
            agreement=float(agrees),
            detail="",
            propensity=propensity,
            ts=NOON_S + place,
        )
        records.append((exchange, (judgement,) if drawn else ()))
    return records
