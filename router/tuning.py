"""From a route's records to a threshold: fit and plan on a third, test on the rest, report."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import compress

import numpy as np

from router.calibration import Calibration
from router.deferral import Bools, Floats, NoContrast
from router.evidence import (
    Confidence,
    Evidence,
    Record,
    first_comparator,
    gather,
    is_planned_on,
    judgeable,
)
from router.fitting import TooFewPairs, calibrate, pairs_of
from router.reliability import Bin, reliability
from router.replay import Replayed, replay
from router.slices import Slices, slice_up
from router.thresholds import NoSafeThreshold, Promise, pick_threshold, plan, promise
from router.trace import Exchange
from router.windows import NoWindows, Windows, compare_windows

PLANNING_SHARE = 1 / 3
_CURVE = 21
_SURPRISING = 2.5758293035489004
"""Standard errors that chance exceeds once in a hundred times."""
_MISSED_TOO_OFTEN = 0.05


class NothingToTune(ValueError):
    """The records hold nothing to take a threshold from; the message says what they lack."""


class Score(StrEnum):
    """recorded: the confidence that the gate ruled by. calibrated: fitted on the signals."""

    RECORDED = "recorded"
    CALIBRATED = "calibrated"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a threshold. At least one of max_risk, teacher_share and budget is set.

    max_risk: of what the student serves, the share that may differ. teacher_share: of all requests,
    what the teacher may answer. budget_usd: what a request may cost on average. slice_by: see
    `router.slices`.
    """

    max_risk: float | None = None
    delta: float = 0.05
    teacher_share: float | None = None
    budget_usd: float | None = None
    score: Score = Score.RECORDED
    comparator: str | None = None
    slice_by: str | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """The report. Risks are of the part that nothing was planned or fitted on, shares of all.

    requests: ruled on by a gate, in all. judged: with a pair. chosen, promise: None where there is
    a refusal. now: at the threshold of the latest request. least_deferral: what any rule must
    defer, given how often the student is wrong and the risk that was wished for. windows: None
    where no risk was wished for; or why they cannot be compared. slices: at the chosen threshold,
    or the one in force where there is a refusal; None where none were asked for.
    """

    route: str
    comparator: str
    student: str
    wish: Wish
    requests: int
    judged: int
    missed: int
    now: Replayed | None
    chosen: Replayed | None
    promise: Promise | None
    refusal: str | None
    more_pairs: int | None
    more_requests: int | None
    least_deferral: float | None
    doubts: tuple[str, ...]
    curve: tuple[Replayed, ...]
    calibration: Calibration | None
    diagram: tuple[Bin, ...]
    windows: Windows | str | None
    slices: Slices | None


def tune(
    route: str, records: Sequence[Record], wish: Wish, *, label: str | None, window_tokens: int
) -> Tuned:
    """`records` in the order of their arrival; label, window_tokens: of the route's gate.

    Raises NothingToTune; TooFewPairs and NoContrast where a calibration was wished for.
    """
    records = judgeable(records)
    if not records:
        raise NothingToTune(f"{route}: no gate has ruled on any request in these traces")
    comparator = wish.comparator or _comparator(route, records)
    planned = np.array([is_planned_on(each, PLANNING_SHARE) for each, _ in records])
    calibration = None
    if wish.score is Score.CALIBRATED:
        calibration = calibrate(
            pairs_of(compress(records, planned), comparator),
            student=_students(records)[-1],
            label=label,
            window_tokens=window_tokens,
        )
    evidence = gather(records, comparator, _confidence(calibration))
    planning, testing = evidence.part(planned), evidence.part(~planned)
    if not len(testing):
        raise NothingToTune(f"{route}: {len(records)} requests are too few; let more come")
    thresholds = _plan(planning, testing, wish)
    chosen, refusal = _choose(evidence, testing, thresholds, wish)

    def at(threshold: float) -> Replayed:
        return replay(evidence, threshold, pairs=testing)

    latest = records[-1][0].threshold if calibration is None else None
    looked_at = chosen.threshold if chosen is not None else latest
    return Tuned(
        route=route,
        comparator=comparator,
        student=_students(records)[-1],
        wish=wish,
        requests=len(records),
        judged=int(evidence.judged.sum()),
        missed=evidence.missed,
        now=at(latest) if latest is not None else None,
        chosen=at(chosen.threshold) if chosen is not None else None,
        promise=chosen,
        refusal=str(refusal) if refusal is not None else None,
        more_pairs=refusal.more_pairs if refusal is not None else None,
        more_requests=_requests_for(refusal, evidence),
        least_deferral=_least_deferral(testing, wish.max_risk),
        doubts=tuple(_doubts(records, evidence)),
        curve=tuple(map(at, _grid(evidence))),
        calibration=calibration,
        diagram=tuple(_diagram(testing)),
        windows=_windows(records, planned, comparator, wish, calibration),
        slices=slice_up(
            wish.slice_by,
            records,
            evidence,
            planned,
            threshold=looked_at,
            plan_of_all=thresholds,
            max_risk=wish.max_risk,
            delta=wish.delta,
        )
        if wish.slice_by is not None and looked_at is not None
        else None,
    )


def _plan(planning: Evidence, testing: Evidence, wish: Wish) -> Sequence[float]:
    """The thresholds to be tested, strict first; none where no risk was wished for."""
    if wish.max_risk is None:
        return ()
    judged = int(testing.judged.sum())
    return plan(planning, judged, max_risk=wish.max_risk, delta=wish.delta)


def _windows(
    records: Sequence[Record],
    planned: Bools,
    comparator: str,
    wish: Wish,
    calibration: Calibration | None,
) -> Windows | str | None:
    if wish.max_risk is None:
        return None
    try:
        return compare_windows(
            records,
            planned,
            comparator,
            max_risk=wish.max_risk,
            delta=wish.delta,
            calibration=calibration,
        )
    except (NoWindows, NoContrast, TooFewPairs) as trouble:
        return str(trouble)


def rehearse(
    route: str, records: Sequence[Record], thresholds: Sequence[float], wish: Wish
) -> list[tuple[Replayed, Promise]]:
    """What each threshold would have done, with the bound it would have had: of all records.

    The bounds hold each for itself, and only for thresholds that these records did not suggest.
    """
    records = judgeable(records)
    if not records:
        raise NothingToTune(f"{route}: no gate has ruled on any request in these traces")
    comparator = wish.comparator or _comparator(route, records)
    evidence = gather(records, comparator, _confidence(None))
    risk = wish.max_risk or 1.0
    return [
        (replay(evidence, each), promise(evidence, each, max_risk=risk, delta=wish.delta))
        for each in thresholds
    ]


def _choose(
    evidence: Evidence, testing: Evidence, thresholds: Sequence[float], wish: Wish
) -> tuple[Promise | None, NoSafeThreshold | None]:
    affordable = _affordable(evidence, wish)
    if affordable is None:
        return None, NoSafeThreshold(
            "no threshold keeps the teacher's share and the budget: the student has an answer that "
            "could be served too seldom",
            None,
        )
    if wish.max_risk is None:
        return promise(testing, affordable, max_risk=1.0, delta=wish.delta), None
    try:
        picked = pick_threshold(testing, thresholds, max_risk=wish.max_risk, delta=wish.delta)
    except NoSafeThreshold as refusal:
        return None, refusal
    if picked > affordable:
        return None, NoSafeThreshold(
            f"a risk of {wish.max_risk:.1%} can be promised from threshold {picked:.4f} on, but "
            f"the teacher's share and the budget need {affordable:.4f} or less",
            None,
        )
    return promise(testing, picked, max_risk=wish.max_risk, delta=wish.delta), None


def _affordable(evidence: Evidence, wish: Wish) -> float | None:
    """The strictest threshold within the teacher's share and the budget; it looks at no pair."""
    if wish.teacher_share is None and wish.budget_usd is None:
        return math.inf
    if wish.budget_usd is not None and np.isnan(evidence.teacher_usd).all():
        raise NothingToTune("budget: these traces know no prices; set [upstreams.X] price")

    def is_dear(threshold: float) -> bool:
        served = evidence.served(threshold)
        if wish.teacher_share is not None and 1.0 - served.mean() > wish.teacher_share:
            return True
        if wish.budget_usd is None:
            return False
        cost = evidence.student_usd + np.where(served, 0.0, evidence.teacher_usd)
        return not float(np.nanmean(cost)) <= wish.budget_usd

    lenient_first = np.unique(evidence.confidence[evidence.servable]).tolist()
    affordable = bisect_left(lenient_first, True, key=is_dear)  # noqa: FBT003 - the first that is
    return float(lenient_first[affordable - 1]) if affordable else None


def _confidence(calibration: Calibration | None) -> Confidence:
    def recorded(exchange: Exchange) -> float | None:
        return exchange.confidence

    def calibrated(exchange: Exchange) -> float | None:
        assert calibration is not None  # noqa: S101 - this function is not handed out without one
        return calibration.confidence(exchange.signals) if exchange.signals is not None else None

    return recorded if calibration is None else calibrated


def _comparator(route: str, records: Sequence[Record]) -> str:
    """The route's first, by the latest request that was judged."""
    if (comparator := first_comparator(records)) is not None:
        return comparator
    raise NothingToTune(
        f"{route}: not one of {len(records)} requests was compared with the other model's answer; "
        f"set [routes.{route}.shadow] rate, 0.05 for one in twenty"
    )


def _students(records: Sequence[Record]) -> list[str]:
    """Their names, the latest last."""
    names = [exchange.student.model for exchange, _ in records if exchange.student is not None]
    return list(dict.fromkeys(reversed(names)))[::-1] or [""]


def _grid(evidence: Evidence) -> list[float]:
    """Thresholds that defer equal shares more, each than the one before."""
    confident = evidence.confidence[evidence.servable]
    if not len(confident):
        return []
    grid = np.quantile(confident, np.linspace(0.0, 1.0, _CURVE), method="lower")
    return [float(each) for each in np.unique(grid[grid > 0.0])]


def _diagram(testing: Evidence) -> list[Bin]:
    pairs = testing.part(testing.judged & testing.servable)
    return reliability(pairs.confidence, 1.0 - pairs.loss, 1.0 / pairs.propensity)


def _least_deferral(testing: Evidence, max_risk: float | None) -> float | None:
    """(mu - eps) / (1 - eps): the student's risk on all requests is mu."""
    everywhere = replay(testing, 0.0).risk
    if max_risk is None or everywhere is None:
        return None
    return max(0.0, (everywhere.estimate - max_risk) / (1.0 - max_risk))


def _requests_for(refusal: NoSafeThreshold | None, evidence: Evidence) -> int | None:
    """How many requests bring so many pairs, at the pace at which these came, planning included."""
    judged = int((evidence.judged & evidence.servable).sum())
    if refusal is None or refusal.more_pairs is None or not judged:
        return None
    return math.ceil(refusal.more_pairs / (1 - PLANNING_SHARE) * len(evidence) / judged)


def _doubts(records: Sequence[Record], evidence: Evidence) -> list[str]:
    """Why tomorrow may not be like these records: what the promise rests on."""
    doubts = []
    if len(students := _students(records)) > 1:
        doubts.append(f"the student was {', then '.join(students)}: take --since the last change")
    sampled = int(evidence.judged.sum()) + evidence.missed
    if evidence.missed > _MISSED_TOO_OFTEN * sampled:
        doubts.append(
            f"{evidence.missed} of {sampled} pairs were missed (shed or failed); those that came "
            "stand in for them"
        )
    blind = int((np.isnan(evidence.propensity) & evidence.servable).sum())
    if blind:
        doubts.append(
            f"{blind} requests could not have been judged, so no threshold at or below their "
            "confidence is promised: verified loosely, or shadowing was off meanwhile"
        )
    half = np.arange(len(evidence)) < len(evidence) // 2
    before, after = (replay(evidence.part(each), 0.0).risk for each in (half, ~half))
    if before is not None and after is not None:
        widths = (before.upper - before.lower, after.upper - after.lower)
        error = math.hypot(*widths) / (2 * 1.96)
        if error > 0 and abs(before.estimate - after.estimate) > _SURPRISING * error:
            doubts.append(
                f"the student's risk changed on the way, from {before.estimate:.1%} in the first "
                f"half to {after.estimate:.1%} in the second"
            )
    if _distance(evidence.confidence[half], evidence.confidence[~half]) > 1.0:
        doubts.append("confidence is spread differently in the second half of the requests")
    return doubts


def _distance(ours: Floats, theirs: Floats) -> float:
    """Kolmogorov and Smirnov's, over what chance exceeds once in a hundred times."""
    if not len(ours) or not len(theirs):
        return 0.0
    places = np.concatenate([ours, theirs])
    shares = [
        np.searchsorted(np.sort(each), places, side="right") / len(each) for each in (ours, theirs)
    ]
    by_chance = 1.628 * math.sqrt(1 / len(ours) + 1 / len(theirs))
    return float(np.abs(shares[0] - shares[1]).max()) / by_chance
