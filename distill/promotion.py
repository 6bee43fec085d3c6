"""Whether a candidate replaces the incumbent: a rule over intervals, and nothing else.

It must be surely not worse wherever that matters (every one of these tests has to pass, so their
number costs nothing), and surely better somewhere it should be (one of several, so their p-values
are corrected: Holm, 1979).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from distill.exam import Compared
from serving.checked import Checked

Margin = Annotated[float, Field(ge=0)]

_LESS_IS_BETTER = frozenset({"calibration_error"})


class PromotionRules(Checked):
    """Margins: how much worse the candidate may be at the far end of its interval, in the figure's
    own unit; of time and size, as a share of the incumbent's. alpha: of the whole decision.
    """

    accuracy: Margin = 0.01
    fidelity: Margin = 0.01
    validity: Margin = 0.005
    auroc: Margin = 0.03
    calibration_error: Margin = 0.03
    coverage: Margin = 0.1
    slower: Margin = 0.25
    larger: Margin = 0.1
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """One test. needed: without it there is no promotion; of the others one will do."""

    name: str
    passed: bool
    needed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    promoted: bool
    findings: tuple[Finding, ...]

    @property
    def reasons(self) -> list[str]:
        """Why it was refused; of a promotion, what it is better at."""
        if self.promoted:
            return [each.why for each in self.findings if each.passed and not each.needed]
        lacking = [each.why for each in self.findings if each.needed and not each.passed]
        if not any(each.passed for each in self.findings if not each.needed):
            lacking += [each.why for each in self.findings if not each.needed]
        return lacking


def decide(
    figures: Mapping[str, Compared],
    sizes: tuple[int, int],
    threshold: float | None,
    rules: PromotionRules,
) -> Decision:
    """sizes: bytes of candidate and incumbent. threshold: the candidate's. A figure that is missing
    is a refusal, but for accuracy, which is not asked for where nobody knows the labels.
    """
    findings = [
        _not_worse(name, figures.get(name), getattr(rules, name))
        for name in ("accuracy", "fidelity", "validity", "auroc", "calibration_error", "coverage")
        if not (name == "accuracy" and name not in figures)
    ]
    findings += [
        _not_slower(figures.get("median_seconds"), rules.slower),
        _not_larger(sizes, rules),
        _has_threshold(threshold),
    ]
    findings += _better(figures, rules.alpha)
    needed = all(each.passed for each in findings if each.needed)
    better = any(each.passed for each in findings if not each.needed)
    return Decision(needed and better, tuple(findings))


def _not_worse(name: str, of: Compared | None, margin: float) -> Finding:
    if of is None:
        return _missing(name)
    gap = of.difference
    worst = gap.upper if name in _LESS_IS_BETTER else -gap.lower
    passed = worst <= margin
    verdict = "not worse" if passed else "may be worse"
    told = f"{name}: {gap.estimate:+.4f} [{gap.lower:+.4f}, {gap.upper:+.4f}]"
    return Finding(name, passed, needed=True, why=f"{told}: {verdict} by more than {margin}")


def _missing(name: str) -> Finding:
    why = f"{name}: cannot be taken from these texts (all alike, or none)"
    return Finding(name, passed=False, needed=True, why=why)


def _not_slower(of: Compared | None, margin: float) -> Finding:
    if of is None:
        return _missing("median_seconds")
    share = of.difference.upper / of.incumbent.estimate if of.incumbent.estimate > 0 else 0.0
    why = f"median_seconds: at most {share:+.0%} of the incumbent's, {margin:+.0%} allowed"
    return Finding("median_seconds", passed=share <= margin, needed=True, why=why)


def _not_larger(sizes: tuple[int, int], rules: PromotionRules) -> Finding:
    candidate, incumbent = sizes
    passed = candidate <= (1.0 + rules.larger) * incumbent
    why = f"bytes: {candidate} of {incumbent}, {1.0 + rules.larger:.0%} allowed"
    return Finding("bytes", passed=passed, needed=True, why=why)


def _has_threshold(threshold: float | None) -> Finding:
    why = "threshold: none keeps the cascade near the teacher" if threshold is None else "threshold"
    return Finding("threshold", passed=threshold is not None, needed=True, why=why)


def _better(figures: Mapping[str, Compared], alpha: float) -> list[Finding]:
    """Holm: the smallest p-value against alpha / k, the next against alpha / (k - 1), and so on."""
    tested = [
        (of.p, name, of)
        for name, of in figures.items()
        if name in {"accuracy", "fidelity"} and of.p is not None
    ]
    findings, still = [], True
    for place, (p, name, of) in enumerate(sorted(tested, key=lambda each: each[0])):
        level = alpha / (len(tested) - place)
        still = still and p <= level
        passed = still and of.difference.estimate > 0
        told = f"{name}: {of.candidate} against {of.incumbent}, p = {p:.3g} at level {level:.3g}"
        why = f"{told}: {'better' if passed else 'not surely better'}"
        findings.append(Finding(f"better {name}", passed=passed, needed=False, why=why))
    return findings
