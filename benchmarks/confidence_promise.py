"""Whether a threshold that was tuned on real traffic keeps its promise on more of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.confidence_scores import COMPARATOR, LABEL, WINDOW_TOKENS, Part
from router.evidence import Evidence, Record, gather
from router.interval import Interval, wilson_interval
from router.replay import Replayed, replay
from router.risk import binomial_p_value
from router.thresholds import NoSafeThreshold, pick_threshold, plan
from router.tuning import PLANNING_SHARE, Tuned, Wish, tune
from serving.embedded import ROUTE

SPLITS = 500
_BROKEN = 0.01


@dataclass(frozen=True, slots=True)
class Kept:
    """`tune` on one part, and what happened at its threshold on the other; None where refused."""

    max_risk: float
    tuned: Tuned
    later: Replayed | None


@dataclass(frozen=True, slots=True)
class Splits:
    """Random halves: tuned on one, measured on the other. picked: in how many a threshold was.

    over: share of all in which the other half's risk is above max_risk. surely: in which it is
    so by more than chance explains (exact test at 1 %). coverage: mean, with refusals as 0.
    """

    max_risk: float
    picked: int
    over: Interval
    surely: Interval
    coverage: float


def kept(fit: Part, held_out: Part, risks: Sequence[float], delta: float) -> list[Kept]:
    found = []
    for risk in risks:
        wish = Wish(max_risk=risk, delta=delta, comparator=COMPARATOR)
        tuned = tune(ROUTE, fit.records, wish, label=LABEL, window_tokens=WINDOW_TOKENS)
        later = None
        if tuned.promise is not None:
            later = replay(_evidence(held_out.records), tuned.promise.threshold)
        found.append(Kept(risk, tuned, later))
    return found


def splits(fit: Part, held_out: Part, max_risk: float, delta: float, times: int = SPLITS) -> Splits:
    """Seeded. The other half's risk is itself an estimate: `over` counts its noise as well."""
    everything = _evidence([*fit.records, *held_out.records])
    random = np.random.default_rng(0)
    over, surely, covered = [], [], []
    for _ in range(times):
        order = random.permutation(len(everything))
        ours, theirs = np.array_split(order, 2)
        threshold = _pick(everything.part(ours), max_risk, delta)
        if threshold is None:
            covered.append(0.0)
            continue
        other = everything.part(theirs)
        served = other.loss[other.served(threshold)]
        wrong = int(served.sum())
        covered.append(len(served) / len(other))
        over.append(wrong > max_risk * len(served))
        as_many = 1.0 - binomial_p_value(wrong - 1, len(served), max_risk) if wrong else 1.0
        surely.append(as_many < _BROKEN)
    return Splits(
        max_risk,
        len(over),
        wilson_interval(sum(over) / times, times),
        wilson_interval(sum(surely) / times, times),
        float(np.mean(covered)),
    )


def _pick(evidence: Evidence, max_risk: float, delta: float) -> float | None:
    """As `tune` does, on a third and on the rest; the order is random here."""
    at = round(PLANNING_SHARE * len(evidence))
    planning, testing = evidence.part(np.arange(at)), evidence.part(np.arange(at, len(evidence)))
    judged = int(testing.judged.sum())
    thresholds = plan(planning, judged, max_risk=max_risk, delta=delta)
    try:
        return pick_threshold(testing, thresholds, max_risk=max_risk, delta=delta)
    except NoSafeThreshold:
        return None


def _evidence(records: Sequence[Record]) -> Evidence:
    return gather(records, COMPARATOR, lambda exchange: exchange.confidence)
