"""A round in small: traces, a task of two words, and a craft that trains nothing."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Raw

from distill.config import ExamRules, HoldoutRules, Settings, TrainRules
from distill.craft import Model
from distill.exam import Marked
from distill.export_file import write_export
from distill.loop import Round
from distill.rows import Row, Why
from distill.task import ExamText
from router.evidence import Record
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

NOON_S = 1_800_000_000.0
_SUBJECTS = ["lamp", "parcel", "invoice", "garden", "engine", "concert", "teacher", "river"]
_VERBS = ["arrived", "stopped", "answered", "vanished", "improved", "burned", "waited", "sang"]


def text(number: int) -> str:
    """Different enough from every other one, and shorter than an n-gram."""
    token = hashlib.sha256(str(number).encode()).hexdigest()[:24]
    return f"The {_SUBJECTS[number % 8]} {_VERBS[number // 8 % 8]} {token}"


class Mood:
    """Is it good or bad? The answer is one word."""

    name = "mood"
    field: str | None = None
    labels = ("bad", "good")

    def __init__(self, gold: int = 40, choosing: int = 60) -> None:
        self._gold, self._choosing = gold, choosing

    def text_of(self, request: bytes) -> str | None:
        messages = json.loads(request)["messages"]
        return messages[-1]["content"] if len(messages) == 1 else None

    def label_of(self, answer: str) -> str | None:
        return answer if answer in self.labels else None

    def conversation(self, text: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": text}]

    def odds_of(
        self, tokens: Sequence[Mapping[str, float]]
    ) -> tuple[tuple[float, ...], ...] | None:
        if not tokens:
            return None
        shares = [tokens[0].get(label, 0.0) for label in self.labels]
        return (tuple(share / sum(shares) for share in shares),)

    def fits(self, text: str) -> bool:
        return text == text.strip()

    def gold(self) -> list[ExamText]:
        return [exam_text(10_000 + at) for at in range(self._gold)]

    def choosing(self) -> list[ExamText]:
        return [exam_text(20_000 + at) for at in range(self._choosing)]


def exam_text(number: int) -> ExamText:
    return ExamText(f"gold-{number}", text(number), ("bad", "good")[number % 2])


class Clockwork:
    """A craft: its candidate knows every answer, its incumbent one in `knows`; it keeps a journal.

    during: what its training does besides, to see whether it may.
    """

    def __init__(
        self, incumbent: Path, *, knows: int = 3, during: Callable[[Path], None] | None = None
    ) -> None:
        incumbent.write_bytes(b"incumbent")
        self.incumbent = incumbent
        self.journal: list[str] = []
        self._knows, self._during = knows, during

    def train(
        self,
        train: Sequence[Row],
        valid: Sequence[Row],
        rules: TrainRules,
        out: Path,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.journal.append(f"train on {len(train)} and {len(valid)}")
        if self._during is not None:
            self._during(out)
        (out / "student.gguf").write_bytes(b"candidate")
        (out / "student-delta.gguf").write_bytes(b"delta")
        (out / "losses.json").write_text(json.dumps({"steps": 2, "losses": {"0": 2.0, "1": 1.0}}))

    def models(self, candidate: Path, cache: Path) -> tuple[Model, Model, Model]:
        teacher = cache / "teacher.gguf"
        teacher.write_bytes(b"teacher")
        return Model(candidate), Model(self.incumbent), Model(teacher)

    def answers(
        self, model: Model, texts: Sequence[ExamText], cache: Path, rules: ExamRules
    ) -> list[Marked]:
        who = model.weights.read_bytes()
        self.journal.append(f"ask {who.decode()} about {len(texts)}")
        return [self._marked(who, at, each) for at, each in enumerate(texts)]

    def _marked(self, who: bytes, at: int, asked: ExamText) -> Marked:
        right = asked.gold or "good"
        knows = who != b"incumbent" or at % self._knows == 0
        said = right if knows else {"good": "bad", "bad": "good"}[right]
        if who == b"candidate" and at % 29 == 7:
            said = {"good": "bad", "bad": "good"}[right]
        sure = 0.95 if knows and at % 29 != 7 else 0.4
        return Marked(asked.id, said, sure + at % 5 / 100, None, asked.gold)

    def seconds(
        self, models: Sequence[Model], texts: Sequence[ExamText], rules: ExamRules
    ) -> list[list[float]]:
        return [[0.1 + at % 3 / 100 for at in range(len(texts))] for _ in models]


def exchange(number: int, **changes: Any) -> Exchange:
    """Deferred: the teacher answered."""
    said = changes.pop("said", text(number))
    fields: dict[str, Any] = {
        "trace_id": new_trace_id(NOON_S + number, number.to_bytes(10)),
        "ts": NOON_S + number,
        "route": "mood",
        "stream": False,
        "request": Raw(json.dumps({"messages": [{"role": "user", "content": said}]}).encode()),
        "mode": "cascade",
        "pinned": False,
        "served_by": ServedBy.TEACHER,
        "reason": Reason.LOW_CONFIDENCE,
        "confidence": 0.5,
        "threshold": 0.8,
        "student": answer("bad"),
        "teacher": answer(("bad", "good")[number % 2]),
        "status": 200,
        "outcome": Outcome.SERVED,
        "total_s": 0.1,
    }
    return Exchange(**(fields | changes))


def by_student(number: int, **changes: Any) -> Exchange:
    """Served by the student, surely."""
    usual = {"served_by": ServedBy.STUDENT, "reason": Reason.CONFIDENT, "teacher": None}
    return exchange(number, **{**usual, "confidence": 0.95, **changes})


def answer(said: str, *, complete: bool = True) -> ModelAnswer:
    return ModelAnswer(upstream="x", model="x", text=said, complete=complete)


def judged(
    of: Exchange, agreement: float | None, *, by: Judge = Judge.SHADOW, **changes: Any
) -> Judgement:
    fields: dict[str, Any] = {
        "trace_id": of.trace_id,
        "by": by,
        "comparator": "label",
        "agreement": agreement,
        "detail": "",
        "propensity": 0.1,
        "ts": of.ts,
    }
    return Judgement(**(fields | changes))


def row(number: int, **changes: Any) -> Row:
    fields: dict[str, Any] = {
        "trace_id": f"t{number:04}",
        "ts": NOON_S + number,
        "text": text(number),
        "why": Why.FALLBACK,
        "teacher": ("bad", "good")[number % 2],
    }
    return Row(**(fields | changes))


def save_export(records: Sequence[Record], path: Path) -> Path:
    write_export(records, path)
    return path


def a_round(
    folder: Path,
    records: Sequence[Record],
    craft: Clockwork,
    **changes: Any,
) -> Round:
    folder.mkdir(parents=True, exist_ok=True)
    ticks = iter(range(1_000_000))
    fields: dict[str, Any] = {
        "route": "mood",
        "export": save_export(records, folder / "export.jsonl"),
        "run": folder / "run",
        "cache": folder / "cache",
        "releases": folder / "releases",
        "task": Mood(),
        "craft": craft,
        "settings": Settings(holdout=HoldoutRules(traces=0.2), exam=ExamRules(bootstrap=50)),
        "clock": lambda: float(next(ticks)),
        "sleep": lambda _: None,
    }
    return Round(**(fields | changes))
