"""Triage students: trained from the incumbent's delta, served by llama.cpp, asked over HTTP."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from distill.config import ExamRules, TrainRules
from distill.craft import Model
from distill.exam import Marked
from distill.recipe import Workshop
from distill.rows import Row
from distill.served import ServedAnswer, ask, ask_all, load_answers, serve
from distill.task import ExamText
from distill.triage_student import Material, train_student
from serving.triage import teacher_adapter_path
from serving.triage.derive import derive
from serving.triage.manifest import file_sha256

log = logging.getLogger(__name__)

_TOGETHER = 25
_WARM_UP = 4


class TriageCraft:
    """The embedded default's. at.out: where the base is unpacked, unless it is shared."""

    def __init__(self, at: Workshop, incumbent: Path) -> None:
        self.at = at
        self.incumbent = incumbent

    def train(
        self,
        train: Sequence[Row],
        valid: Sequence[Row],
        rules: TrainRules,
        out: Path,
        *,
        clock: Callable[[], float],
    ) -> None:
        scratch = self.at.out / "states" / "new"
        material = Material(self.at, self.incumbent, train, valid, scratch)
        train_student(material, rules, out, clock=clock)

    def models(self, candidate: Path, cache: Path) -> tuple[Model, Model, Model]:
        served = cache / f"incumbent-{file_sha256(self.incumbent)[:12]}.gguf"
        if not served.exists():
            derive(self.at.base_gguf, self.incumbent, served)
        teacher = Model(self.at.base_gguf, teacher_adapter_path())
        return Model(candidate), Model(served), teacher

    def answers(
        self, model: Model, texts: Sequence[ExamText], cache: Path, rules: ExamRules
    ) -> list[Marked]:
        kept = cache / f"answers-{_hash(model)}.jsonl"
        known = {each.id: each for each in load_answers(kept)} if kept.exists() else {}
        missing = [text for text in texts if text.id not in known]
        log.info("%s: %d of %d texts to ask", kept.name, len(missing), len(texts))
        if missing:
            with serve(
                model.weights, model.adapter, slots=rules.at_once, threads=rules.threads
            ) as url:
                for start in range(0, len(missing), _TOGETHER):
                    some = missing[start : start + _TOGETHER]
                    for each in ask_all(url, some, at_once=rules.at_once):
                        known[each.id] = each
                        _append(each, kept)
        return [_marked(known[text.id], text) for text in texts]

    def seconds(
        self, models: Sequence[Model], texts: Sequence[ExamText], rules: ExamRules
    ) -> list[list[float]]:
        taken: list[list[float]] = [[] for _ in models]
        with ExitStack() as stack:
            urls = [
                stack.enter_context(
                    serve(each.weights, each.adapter, slots=1, threads=rules.threads)
                )
                for each in models
            ]
            for url in urls:
                for text in texts[:_WARM_UP]:
                    ask(url, text)
            for text in texts:
                for place, url in enumerate(urls):
                    taken[place].append(ask(url, text).seconds)
        return taken


def _hash(model: Model) -> str:
    parts = [model.weights, *([model.adapter] if model.adapter is not None else [])]
    told = "".join(file_sha256(part) for part in parts)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _append(answer: ServedAnswer, path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(answer)) + "\n")


def _marked(answer: ServedAnswer, text: ExamText) -> Marked:
    return Marked(
        id=text.id,
        label=answer.sentiment.value if answer.sentiment is not None else None,
        confidence=answer.label_probability,
        seconds=None,
        gold=text.gold,
    )
