"""Figures of a student and its teacher on labelled texts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from distill.served import ServedAnswer
from router.deferral import (
    DeferralPoint,
    area_under_deferral,
    at_threshold,
    auroc,
    deferral_curve,
    lowest_safe_threshold,
)
from router.interval import Interval, wilson_interval
from serving.triage.dataset import Feedback

DEFERRALS = [at / 20 for at in range(21)]


class NoServingThreshold(ValueError):
    """No threshold keeps the cascade near the teacher."""


@dataclass(frozen=True)
class Report:
    """Everything stated about a pair of models on one part of the data; labels are sentiments."""

    texts: int
    student: Interval
    teacher: Interval
    fidelity: Interval
    """Share of texts where both give the same sentiment."""
    student_exact: Interval
    """Sentiment and intensity both right."""
    teacher_exact: Interval
    student_valid: float
    """Share of replies that are exactly one answer."""
    teacher_valid: float
    auroc_fidelity: float
    """How well the student's label probability ranks agreement with the teacher."""
    auroc_gold: float
    """The same for being right."""
    curve: list[DeferralPoint]
    area: float
    """Mean accuracy of the cascade over all shares deferred."""


@dataclass(frozen=True)
class Pair:
    """Both models' answers to the same texts, as arrays."""

    confidence: np.ndarray
    student_right: np.ndarray
    teacher_right: np.ndarray
    agree: np.ndarray


def paired(
    items: Sequence[Feedback], student: Sequence[ServedAnswer], teacher: Sequence[ServedAnswer]
) -> Pair:
    """Lines the answers up by id. Raises `KeyError` for a text without an answer."""
    by_student = {a.id: a for a in student}
    by_teacher = {a.id: a for a in teacher}
    rows = [(item.gold.sentiment, by_student[item.id], by_teacher[item.id]) for item in items]
    return Pair(
        confidence=np.array([s.label_probability for _, s, _ in rows]),
        student_right=np.array([s.sentiment is gold for gold, s, _ in rows]),
        teacher_right=np.array([t.sentiment is gold for gold, _, t in rows]),
        agree=np.array(
            [s.sentiment is not None and s.sentiment is t.sentiment for _, s, t in rows]
        ),
    )


def report(
    items: Sequence[Feedback], student: Sequence[ServedAnswer], teacher: Sequence[ServedAnswer]
) -> Report:
    """All figures. `items`, answers: any order, matched by id."""
    pair = paired(items, student, teacher)
    curve = deferral_curve(pair.confidence, pair.student_right, pair.teacher_right, DEFERRALS)
    return Report(
        texts=len(items),
        student=_share(pair.student_right),
        teacher=_share(pair.teacher_right),
        fidelity=_share(pair.agree),
        student_exact=_share(_exact(items, student)),
        teacher_exact=_share(_exact(items, teacher)),
        student_valid=float(np.mean([a.answer is not None for a in student])),
        teacher_valid=float(np.mean([a.answer is not None for a in teacher])),
        auroc_fidelity=auroc(pair.confidence, pair.agree),
        auroc_gold=auroc(pair.confidence, pair.student_right),
        curve=curve,
        area=area_under_deferral(curve),
    )


def recommended_threshold(pair: Pair, *, slack: float) -> DeferralPoint:
    """The cascade at the lowest threshold that is surely within `slack` of the teacher.

    To be chosen on calibration texts and stated on others. Raises `NoServingThreshold` if none is.
    """
    threshold = lowest_safe_threshold(
        pair.confidence, pair.student_right, pair.teacher_right, slack=slack
    )
    if threshold is None:
        raise NoServingThreshold(f"no threshold below 1 is surely within {slack} of the teacher")
    return deferral_at(pair, threshold)


def deferral_at(pair: Pair, threshold: float) -> DeferralPoint:
    """The cascade of a pair at one threshold."""
    return at_threshold(pair.confidence, pair.student_right, pair.teacher_right, threshold)


def as_json(figures: Report) -> dict[str, object]:
    """For files; numbers to four digits."""
    return {name: _rounded(value) for name, value in asdict(figures).items()}


def as_table(curve: Sequence[DeferralPoint]) -> str:
    """The deferral curve in Markdown."""
    lines = [
        "| deferred | threshold | cascade accuracy | student's, where it serves |",
        "|---|---|---|---|",
    ]
    for point in curve:
        served = "" if np.isnan(point.selective_accuracy) else f"{point.selective_accuracy:.3f}"
        lines.append(
            f"| {1 - point.coverage:.0%} | {point.threshold:.3f} "
            f"| {point.accuracy:.3f} | {served} |"
        )
    return "\n".join(lines)


def _share(right: np.ndarray) -> Interval:
    return wilson_interval(float(right.mean()), len(right))


def _exact(items: Sequence[Feedback], answers: Sequence[ServedAnswer]) -> np.ndarray:
    gold = {item.id: item.gold for item in items}
    return np.array([a.answer == gold[a.id] for a in answers])


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return None if not np.isfinite(value) else round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value
