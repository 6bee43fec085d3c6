"""How far each reading of a student's answer gets, on the embedded default's real task.

    make bench-confidence   or: python -m benchmarks.confidence --folder FOLDER [--requests 600]

Collects what FOLDER lacks (all texts of two parts that no model was trained on: about half an hour
on two idle cores; it can be stopped and gone on), then compares. Everything is fitted and chosen on
the calibration part and stated on the shadow part; the test part stays sealed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.confidence_plot import curve, curves
from benchmarks.confidence_promise import SPLITS, kept, splits
from benchmarks.confidence_scores import LABEL, Part, Scored, all_scores, read_parts
from benchmarks.confidence_traffic import collect
from benchmarks.machine import HERE, this_machine
from router.deferral import Bools, Floats, area_under_agreement, auroc, share_of_oracle
from router.gate import ConfidenceGate, GateRule, Signal
from router.reliability import calibration_error, mean_gap, reliability
from serving.home import Home

BEGIN, END = "<!-- bench-confidence -->", "<!-- /bench-confidence -->"
DELTA = 0.1
RISKS = (0.02, 0.05, 0.08, 0.1)
DEFERRED = 0.2
RESAMPLES = 1000
TIMED = 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Home.of(os.environ).root / "confidence")
    parser.add_argument("--requests", type=int, help="of the shuffled texts (default: all)")
    parser.add_argument("--threads", type=int, help="of each engine (default: its share)")
    parser.add_argument("--no-collect", action="store_true", help="compare what is there")
    parser.add_argument("--write", type=Path, default=HERE.parent / "router" / "README.md")
    wished = parser.parse_args()
    if not wished.no_collect:
        collect(wished.folder, wished.requests, threads=wished.threads)
    fit, held_out = read_parts(wished.folder)
    ways = all_scores(fit, held_out)
    told = "\n".join(
        [*_head(fit, held_out), *_table(ways, held_out), "", *_promises(fit, held_out)]
    )
    _write(wished.write, told)
    picture = wished.write.with_name("confidence.svg")
    picture.write_text(_picture(ways, held_out), encoding="utf-8")
    print(told)
    return 0


def _write(page: Path, told: str) -> None:
    """In place of what stands between the marks."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page}: there is no {BEGIN} with an {END} after it")
    page.write_text(f"{before}{begin}\n{told}\n{end}{after}", encoding="utf-8")


def _head(fit: Part, held_out: Part) -> list[str]:
    agree = f"{held_out.agrees.mean():.1%}"
    return [
        f"`make bench-confidence`: fitted on {len(fit)} requests (calibration texts), stated on",
        f"{len(held_out)} (shadow texts), each answered by the shipped student and teacher on",
        f"llama.cpp through the gateway. The student's label is the teacher's in {agree} of the",
        f"held-out ones. 95 % intervals: {RESAMPLES} resamples of the requests.",
        f"Machine: {this_machine()}.",
        f"The gate took {_gate_us(held_out):.2f} µs of CPU a token, ruling and signals included",
        f"(best of {TIMED} passes over the held-out answers).",
        "",
    ]


def _gate_us(held_out: Part) -> float:
    """CPU and not wall time: other work on the machine changes it little."""
    rule = GateRule(Signal.MEAN_PROBABILITY, 0.5, None, LABEL)
    answers = [
        [(token.token.encode(), token.logprob) for token in each.tokens] for each in held_out.asked
    ]
    passes = []
    for _ in range(TIMED):
        began = time.process_time()
        for answer in answers:
            gate = ConfidenceGate(rule)
            gate.feed_all(answer)
            gate.finish()
            _ = gate.signals
        passes.append(time.process_time() - began)
    return min(passes) / sum(map(len, answers)) * 1e6


def _table(ways: Sequence[Scored], held_out: Part) -> list[str]:
    agrees = held_out.agrees
    shares = ("area under the deferral curve", "share of the oracle's gain")
    columns = (*shares, f"agreement at {DEFERRED:.0%} deferred", "AUROC against raters")
    at_random = agrees.mean() + DEFERRED * (1 - agrees.mean())
    lines = [
        f"| trust by | {' | '.join(columns)} | ECE, debiased (as it is) |",
        "|---|---|---|---|---|---|",
        f"| random | {1 - (1 - agrees.mean()) / 2:.4f} | 0% | {at_random:.1%} | 0.500 | |",
    ]
    for way in ways:
        error = ""
        if way.claims:
            bins = reliability(way.scores, agrees.astype(float), np.ones(len(agrees)))
            error = f"{calibration_error(bins):.3f} ({mean_gap(bins):.3f})"
        lines.append(
            f"| {way.name} | {_spread(way.scores, agrees, area_under_agreement, '.4f')} "
            f"| {_spread(way.scores, agrees, share_of_oracle, '.0%')} "
            f"| {_deferred(way.scores, agrees):.1%} | {auroc(way.scores, held_out.gold):.3f} "
            f"| {error} |"
        )
    oracle = agrees.astype(float)
    return [
        *lines,
        (
            f"| oracle | {area_under_agreement(oracle, agrees):.4f} | 100% "
            f"| {_deferred(oracle, agrees):.1%} | | |"
        ),
    ]


def _spread(
    scores: Floats, agrees: Bools, figure: Callable[[Floats, Bools], float], shape: str
) -> str:
    """The figure, with the middle 95 % of it over resamples."""
    random = np.random.default_rng(0)
    drawn = (random.integers(0, len(agrees), len(agrees)) for _ in range(RESAMPLES))
    found = [figure(scores[each], agrees[each]) for each in drawn]
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{figure(scores, agrees):{shape}} [{low:{shape}}, {high:{shape}}]"


def _deferred(scores: Floats, agrees: Bools) -> float:
    return float(curve(scores, agrees)[round(DEFERRED * len(agrees))])


def _promises(fit: Part, held_out: Part) -> list[str]:
    columns = ("threshold", "student serves, held out", "differs, held out")
    halves = ("halves: picked", "risk above E", "above E beyond chance", "student serves")
    lines = [
        "`tutelage tune triage --max-risk E --delta 0.1` on the first part, measured at its",
        f"threshold on the second; and the same on random halves of all, {SPLITS} times. A refusal",
        "breaks no promise. A half's risk is an estimate itself: some of them are above E by that.",
        "",
        f"| E | {' | '.join((*columns, *halves))} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in kept(fit, held_out, RISKS, DELTA):
        if each.tuned.promise is None or each.later is None or each.later.risk is None:
            first = "refused | | "
        else:
            later, risk = each.later.coverage, each.later.risk
            first = (
                f"{each.tuned.promise.threshold:.3f} | {later.estimate:.1%} | {risk.estimate:.1%} "
                f"[{risk.lower:.1%}, {risk.upper:.1%}]"
            )
        found = splits(fit, held_out, each.max_risk, DELTA)
        lines.append(
            f"| {each.max_risk:.0%} | {first} | {found.picked / SPLITS:.0%} "
            f"| {found.over.estimate:.1%} | {found.surely.estimate:.1%} | {found.coverage:.0%} |"
        )
    return lines


def _picture(ways: Sequence[Scored], held_out: Part) -> str:
    agrees = held_out.agrees
    shown = [ways[at] for at in (0, 1, 3, 7, 8)]
    n = len(agrees)
    line = agrees.mean() + np.linspace(0.0, 1.0, n + 1) * (1.0 - agrees.mean())
    return curves(
        [
            *((each.name, curve(each.scores, agrees)) for each in shown),
            ("random", line),
            ("oracle", curve(agrees.astype(float), agrees)),
        ],
        "answered as the teacher would, held-out requests of the embedded default",
    )


if __name__ == "__main__":
    sys.exit(main())
