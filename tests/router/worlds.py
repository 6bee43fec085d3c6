"""Made-up traffic whose true risk at every threshold is known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from router.deferral import Floats
from router.evidence import Evidence

Curve = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class World:
    """Confidence is Beta(4, 1); `wrong` is P(the student is wrong | confidence)."""

    wrong: Curve
    propensity: Curve

    def evidence(self, random: np.random.Generator, requests: int) -> Evidence:
        confidence = random.beta(4, 1, requests)
        loss = (random.random(requests) < self.wrong(confidence)).astype(float)
        propensity = self.propensity(confidence)
        judged = random.random(requests) < propensity
        unknown = np.full(requests, np.nan)
        return Evidence(
            confidence=confidence,
            servable=np.ones(requests, dtype=np.bool_),
            loss=np.where(judged, loss, np.nan),
            propensity=propensity,
            student_usd=unknown,
            teacher_usd=unknown,
            judged=judged,
        )

    def risk(self, threshold: float) -> float:
        """By the trapezoid rule; the density is 4 c^3."""
        grid = np.linspace(threshold, 1.0, 2001)
        density = 4 * grid**3
        return float(np.trapezoid(density * self.wrong(grid), grid) / np.trapezoid(density, grid))


def uniform(confidence: Floats) -> Floats:
    return np.full(len(confidence), 0.5)


def by_gate(confidence: Floats) -> Floats:
    """Deferred at 0.8: every deferral is judged, of what the student served one in five."""
    return np.where(confidence < 0.8, 1.0, 0.2)


def sloping(confidence: Floats) -> Floats:
    return 0.4 * (1.0 - confidence)


def flat(confidence: Floats) -> Floats:
    """Wrong just as often as may not be, at every confidence: whatever is picked is too much."""
    return np.full(len(confidence), 0.0501)


def late(confidence: Floats) -> Floats:
    """Good at the top, and suddenly bad: a step that a test may pass by luck."""
    return np.where(confidence > 0.9, 0.02, 0.2)
