"""Records to store, a clock to set, and a tally that can be waited for."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from router.trace import (
    Exchange,
    Judge,
    Judgement,
    ModelAnswer,
    Outcome,
    Reason,
    ServedBy,
    Usage,
    new_trace_id,
)

NOON_S = 1_800_000_000.0
REQUEST = Raw(b'{"model":"triage","messages":[{"role":"user","content":"It was awful"}]}')


def trace_id(number: int, ts: float = NOON_S) -> str:
    return new_trace_id(ts, number.to_bytes(10))


def answer(text: str = '{"sentiment":"negative"}', upstream: str = "student") -> ModelAnswer:
    return ModelAnswer(
        upstream=upstream,
        model=f"{upstream}-model",
        text=text,
        finish_reason="stop",
        usage=Usage(prompt_tokens=40, completion_tokens=10),
        first_token_s=0.01,
        total_s=0.05,
        status=200,
    )


def exchange(number: int = 1, **changes: Any) -> Exchange:
    ts = changes.get("ts", NOON_S)
    fields: dict[str, Any] = {
        "trace_id": trace_id(number, ts),
        "ts": ts,
        "route": "triage",
        "stream": False,
        "request": REQUEST,
        "mode": "cascade",
        "pinned": False,
        "served_by": ServedBy.STUDENT,
        "reason": Reason.CONFIDENT,
        "confidence": 0.9,
        "threshold": 0.8,
        "tokens_seen": 10,
        "student": answer(),
        "status": 200,
        "outcome": Outcome.SERVED,
        "cost_usd": 0.001,
        "saved_usd": 0.01,
        "total_s": 0.05,
    }
    return Exchange(**(fields | changes))


def judgement(number: int = 1, **changes: Any) -> Judgement:
    fields: dict[str, Any] = {
        "trace_id": trace_id(number),
        "by": Judge.SHADOW,
        "comparator": "label",
        "agreement": 0.0,
        "detail": "sentiment: negative|neutral",
        "propensity": 0.05,
        "ts": NOON_S + 1,
    }
    return Judgement(**(fields | changes))


def feedback(number: int = 1, **changes: Any) -> Judgement:
    fields: dict[str, Any] = {
        "by": Judge.FEEDBACK,
        "comparator": "score",
        "agreement": 0.25,
        "detail": "far too long",
        "propensity": 1.0,
        "caller": "survey",
        "label": "thumbs_down",
        "correction": "neutral",
    }
    return judgement(number, **(fields | changes))


@dataclass
class SetClock:
    now_s: float = NOON_S

    def unix_s(self) -> float:
        return self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


@dataclass
class Tally:
    """Counts outcomes as the metric would."""

    counts: Counter[str] = field(default_factory=Counter)
    _told: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, outcome: str, count: int) -> None:
        with self._told:
            self.counts[outcome] += count
            self._told.notify_all()

    def wait(self, outcome: str, count: int) -> None:
        """Until so many met this fate; fails after 30 s."""
        with self._told:
            assert self._told.wait_for(lambda: self.counts[outcome] >= count, timeout=30), (
                f"{outcome} is at {self.counts[outcome]}, not {count}"
            )

    def total(self) -> int:
        return self.counts.total()
