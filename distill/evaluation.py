"""The exam sat: candidate, incumbent and teacher asked, figures and the new threshold written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from distill.config import ExamRules
from distill.craft import Craft
from distill.exam import Compared, Marked, Paper, compare, paper
from distill.task import ExamText
from router.deferral import Bools, at_threshold, deferral_curve, lowest_safe_threshold
from router.interval import Interval, wilson_interval

_DEFERRALS = [at / 20 for at in range(21)]
_TIMED = 40
_LEAST_CHOOSING = 50


class Curve(msgspec.Struct, frozen=True):
    """deferred, accuracy: of the cascade, least confident first."""

    deferred: tuple[float, ...]
    accuracy: tuple[float, ...]


class Cascade(msgspec.Struct, frozen=True):
    """At one threshold, on the checked texts. coverage: what the student serves."""

    coverage: float
    accuracy: float


class Figures(msgspec.Struct, frozen=True):
    """texts: of the exam; checked: those of them whose label people know.

    teacher: its accuracy on those. threshold: chosen on other texts; None if none is safe.
    before, after: the deferral curves of incumbent and candidate. bytes: of candidate, incumbent.
    """

    texts: int
    checked: int
    teacher: Interval | None
    compared: dict[str, Compared]
    before: Curve
    after: Curve
    threshold: float | None
    at_threshold: Cascade | None
    choosing: int
    bytes: tuple[int, int]
    max_risk: float


def evaluate(
    craft: Craft,
    candidate: Path,
    exam: Sequence[ExamText],
    choosing: Sequence[ExamText],
    rules: ExamRules,
    *,
    cache: Path,
    out: Path,
) -> None:
    """Writes `figures.json`."""
    models = craft.models(candidate, cache)
    marks = [craft.answers(model, exam, cache, rules) for model in models]
    seconds = craft.seconds(models[:2], exam[:_TIMED], rules)
    for mine, taken in zip(marks, seconds, strict=False):
        mine[: len(taken)] = [
            replace(mark, seconds=took) for mark, took in zip(mine, taken, strict=False)
        ]
    ours, theirs = (paper(mine, marks[2]) for mine in marks[:2])
    taught = paper(marks[2], marks[2])
    fitting = [craft.answers(model, choosing, cache, rules) for model in (models[0], models[2])]
    threshold = choose_threshold(*fitting, slack=rules.slack)
    known = ours.known
    figures = Figures(
        texts=len(exam),
        checked=int(known.sum()),
        teacher=_share(taught.right[known]),
        compared=compare(ours, theirs, max_risk=rules.max_risk, resamples=rules.bootstrap),
        before=_curve(theirs, taught),
        after=_curve(ours, taught),
        threshold=threshold,
        at_threshold=None if threshold is None else _cascade(ours, taught, threshold),
        choosing=len(choosing),
        bytes=(models[0].weights.stat().st_size, models[1].weights.stat().st_size),
        max_risk=rules.max_risk,
    )
    (out / "figures.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1))


def read_figures(path: Path) -> Figures:
    """What `evaluate` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Figures)


def choose_threshold(
    student: Sequence[Marked], teacher: Sequence[Marked], *, slack: float
) -> float | None:
    """The lowest whose cascade is surely within `slack` of the teacher, on the checked texts. None
    if none is, or on fewer than 50 texts.
    """
    if len(teacher) < _LEAST_CHOOSING:
        return None
    on, taught = paper(student, teacher), paper(teacher, teacher)
    known = on.known
    if not known.any():
        return None
    return lowest_safe_threshold(
        on.confidence[known], on.right[known], taught.right[known], slack=slack
    )


def _curve(on: Paper, taught: Paper) -> Curve:
    """On the checked texts; empty without any."""
    known = on.known
    if not known.any():
        return Curve((), ())
    points = deferral_curve(on.confidence[known], on.right[known], taught.right[known], _DEFERRALS)
    return Curve(
        tuple(1.0 - point.coverage for point in points), tuple(point.accuracy for point in points)
    )


def _cascade(on: Paper, taught: Paper, threshold: float) -> Cascade | None:
    known = on.known
    if not known.any():
        return None
    at = at_threshold(on.confidence[known], on.right[known], taught.right[known], threshold)
    return Cascade(at.coverage, at.accuracy)


def _share(right: Bools) -> Interval | None:
    return wilson_interval(float(right.mean()), len(right)) if len(right) else None
