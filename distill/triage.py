"""The recipe of the embedded default, told downward: teacher, labels, student, files, figures.

    python -m distill.triage STAGE --base SmolLM2-135M-Instruct.Q4_1.gguf --out DIR

with the stages teacher, label, student, export, evaluate, time and release, in this order; probe is
a quick look at what is trained so far. A stage that was cut resumes. The data ships;
`distill.triage_data` made it.
"""

import argparse
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from safetensors.numpy import load_file
from torch import Tensor

from distill.baseline import tfidf_sentiments
from distill.evaluate import (
    Report,
    as_json,
    as_table,
    deferral_at,
    paired,
    recommended_threshold,
    report,
)
from distill.examples import (
    Example,
    TaskTokens,
    bucketed,
    collate,
    gold_examples,
    task_tokens,
)
from distill.forward import decision_logits
from distill.gguf_export import export_delta, export_lora
from distill.losses import triage_loss
from distill.options import add_options, student_recipe, teacher_recipe
from distill.plot import deferral_plot
from distill.pretrained import load_model, load_tokenizer
from distill.probe import probe
from distill.recipe import KEPT_AT, StudentRecipe, TeacherRecipe, Workshop
from distill.release import release
from distill.served import ask_all, load_answers, save_answers, serve
from distill.shipped import Begin, rope_heads, shipped_student, take_shipped_adapter
from distill.states import FrozenStates, keep_states
from distill.students import check_frozen, freeze_below, pruned
from distill.teacher import (
    distilled,
    merged,
    read_soft_labels,
    save_soft_labels,
    soft_labels,
    with_adapter,
)
from distill.train import LossOf, train
from router.interval import wilson_interval
from serving.triage.dataset import Feedback, Split, TestPurpose, load, open_test
from serving.triage.derive import derive

log = logging.getLogger(__name__)

TEMPLATE_EVERY = 6
"""One batch in so many trains the answer's template too."""

TIMED_TEXTS = 90

Part = Literal[Split.TRAIN, Split.CALIBRATION]

THRESHOLD_SLACK = 0.005
"""How far below the teacher's accuracy the recommended cascade may lie."""


def train_teacher(at: Workshop, recipe: TeacherRecipe) -> None:
    """Gold labels into an adapter, saved in peft's form."""
    base = load_model(at.base)
    rows = _rows(at)
    states = _states(at, base, rows, recipe.shape.first_layer)
    adapted = with_adapter(base, recipe.shape, recipe.seed)
    if recipe.begin is Begin.SHIPPED:
        take_shipped_adapter(adapted)
    core = adapted.base_model.model
    batches = _batches(rows.gold, recipe.rows, recipe.epochs, recipe.seed)
    loss_of = _loss_of(core, rows.gold, states, rows.tokens, recipe.digit_weight)

    checkpoint = at.out / "teacher.pt"
    train(adapted, batches, loss_of, recipe.plan, checkpoint=checkpoint, clock=time.monotonic)
    adapted.save_pretrained(at.adapter)


def label_texts(at: Workshop, teacher: TeacherRecipe) -> None:
    """The teacher's soft labels for all training texts, appended to a file."""
    base = load_model(at.base)
    rows = _rows(at)
    states = _states(at, base, rows, teacher.shape.first_layer)
    known = {label.id for label in read_soft_labels(at.labels)}
    unknown = [row for row, example in enumerate(rows.gold) if example.id not in known]
    model, written = merged(base, at.adapter), len(known)
    for batch in soft_labels(model, rows.gold, unknown, states, rows.tokens):
        save_soft_labels(batch, at.labels, mode="a")
        written += len(batch)
        log.info("labelled %d of %d", written, len(rows.gold))


def train_student(at: Workshop, teacher: TeacherRecipe, recipe: StudentRecipe) -> None:
    """The teacher's layers, fewer of them, trained to give its soft labels."""
    check_frozen(recipe.layers, recipe.first_trained, teacher.shape.first_layer)
    base = load_model(at.base)
    rows = _rows(at)
    states = _states(at, base, rows, recipe.first_trained)
    labels = {label.id: label for label in read_soft_labels(at.teacher.labels)}
    examples = [
        distilled(row, labels[row.id], recipe.teacher_share) if recipe.teacher_share else row
        for row in rows.gold
    ]
    torch.manual_seed(recipe.seed)
    student = _first_student(at, base, recipe)
    freeze_below(student, recipe.first_trained)
    batches = _batches(examples, recipe.rows, recipe.epochs, recipe.seed)
    loss_of = _loss_of(student, examples, states, rows.tokens, recipe.digit_weight)

    checkpoint = at.out / "student-run.pt"
    train(student, batches, loss_of, recipe.plan, checkpoint=checkpoint, clock=time.monotonic)
    torch.save(student.state_dict(), at.student)


def _first_student(at: Workshop, base: Any, recipe: StudentRecipe) -> Any:  # noqa: ANN401
    if recipe.begin is Begin.SHIPPED:
        return shipped_student(base, recipe.layers)
    return pruned(merged(base, at.teacher.adapter) if recipe.teacher_share else base, recipe.layers)


def export(at: Workshop, teacher: TeacherRecipe, student: StudentRecipe) -> None:
    """The two files that ship, and the student derived from them as a user's machine does."""
    heads = rope_heads(load_model(at.base))
    export_lora(
        load_file(at.teacher.adapter / "adapter_model.safetensors"),
        at.lora_file,
        alpha=teacher.shape.alpha,
        heads=heads,
    )
    weights = {k: v.numpy() for k, v in torch.load(at.student, weights_only=True).items()}
    error = export_delta(
        weights,
        at.base_gguf,
        at.delta_file,
        base_layers=student.layers,
        trained=range(student.first_trained, len(student.layers)),
        bits=student.bits,
        block=student.block,
        heads=heads,
    )
    log.info("delta in %d bits a weight, relative error %.3f", student.bits, error)
    derive(at.base_gguf, at.delta_file, at.student_file)


def evaluate(at: Workshop, part: str, *, at_once: int) -> None:
    """Asks both models, served by llama.cpp, about `part`; writes answers and figures."""
    items = _texts(part)
    for name, (model, adapter) in _models(at).items():
        file = at.answers(name, part)
        if file.exists():
            log.info("%s: kept; remove it to ask again", file)
            continue
        with serve(model, adapter, slots=at_once, threads=2) as url:
            ask_all(url, items[:8], at_once=at_once)
            save_answers(ask_all(url, items, at_once=at_once), file)
    answers = [load_answers(at.answers(name, part)) for name in ("student", "teacher")]
    figures = report(items, *answers)
    at.figures(part).write_text(json.dumps(as_json(figures), indent=2), encoding="utf-8")
    deferral_plot(figures.curve, at.out / f"deferral-{part}.svg", title=f"{part} part")
    _say(figures, items)


def _say(figures: Report, items: Sequence[Feedback]) -> None:
    for name in ("student", "teacher", "fidelity", "student_exact", "teacher_exact"):
        log.info("%-14s %s", name, getattr(figures, name))
    guessed = tfidf_sentiments(load(Split.TRAIN), items)
    right = sum(guess is item.gold.sentiment for guess, item in zip(guessed, items, strict=True))
    log.info("TF-IDF         %s", wilson_interval(right / len(items), len(items)))
    log.info("valid answers  %.4f, %.4f", figures.student_valid, figures.teacher_valid)
    log.info("AUROC          %.3f fidelity", figures.auroc_fidelity)
    log.info("               %.3f gold", figures.auroc_gold)
    log.info("\n%s", as_table(figures.curve))


def measure_latency(at: Workshop, rounds: int = 3) -> None:
    """Median seconds of one request at a time, end to end.

    The models take turns, so that load that comes and goes falls on both.
    """
    items = _texts("calibration")[:TIMED_TEXTS]
    taken: dict[str, list[float]] = {name: [] for name in _models(at)}
    for turn in range(rounds):
        for name, (model, adapter) in _models(at).items():
            with serve(model, adapter, slots=1, threads=2) as url:
                ask_all(url, items[:5], at_once=1)
                taken[name] += [a.seconds for a in ask_all(url, items[turn::rounds], at_once=1)]
    found = {f"{name}_p50_s": round(median(times), 4) for name, times in taken.items()}
    log.info("%s", found)
    at.figures("latency").write_text(json.dumps(found), encoding="utf-8")


def publish(at: Workshop, teacher: TeacherRecipe, student: StudentRecipe) -> None:
    """Chooses the threshold on calibration texts, states it on test texts, ships the files."""
    pairs = {
        part: paired(
            _texts(part), *(load_answers(at.answers(n, part)) for n in ("student", "teacher"))
        )
        for part in ("calibration", "test")
        if at.answers("teacher", part).exists()
    }
    chosen = recommended_threshold(pairs["calibration"], slack=THRESHOLD_SLACK)
    figures: dict[str, object] = {
        part: {
            **json.loads(at.figures(part).read_text("utf-8")),
            "at_threshold": asdict(deferral_at(pair, chosen.threshold)),
        }
        for part, pair in pairs.items()
    }
    if at.figures("latency").exists():
        figures["latency"] = json.loads(at.figures("latency").read_text("utf-8"))
    release(
        base=at.base_gguf,
        adapter=at.lora_file,
        delta=at.delta_file,
        student=at.student_file,
        threshold=chosen.threshold,
        recipe={"teacher": asdict(teacher), "student": asdict(student)},
        figures=figures,
    )


def probe_model(at: Workshop, teacher: TeacherRecipe, student: StudentRecipe) -> None:
    """The student as it is trained so far, or the teacher where there is no student yet."""
    model, height = load_model(at.base), teacher.shape.first_layer
    rows = _rows(at, Split.CALIBRATION)
    if at.student.exists():
        model, height = pruned(model, student.layers), student.first_trained
        model.load_state_dict(torch.load(at.student, weights_only=True))
    else:
        model = merged(model, at.teacher.adapter)
    states = _states(at, load_model(at.base), rows, height)
    found = probe(model, rows.gold, states, rows.tokens)
    log.info("right %s, AUROC %.3f", found.right, found.auroc)
    save_soft_labels(found.labels, at.out / "probe.jsonl")


def _models(at: Workshop) -> dict[str, tuple[Path, Path | None]]:
    """What each model is served from: its file, its adapter."""
    return {"student": (at.student_file, None), "teacher": (at.base_gguf, at.lora_file)}


def _texts(part: str) -> list[Feedback]:
    """All texts of a part (the one place of this package that opens the test part).

    In random order, so that any beginning of a run is a sample of the whole.
    """
    items = open_test(TestPurpose.EVALUATION) if part == "test" else load(Split.CALIBRATION)
    random.Random(1).shuffle(items)  # noqa: S311 - not a secret
    return items


@dataclass(frozen=True)
class _Rows:
    """The texts of one part as a model is trained on them, in the order of the data."""

    part: Part
    tokens: TaskTokens
    gold: list[Example]


def _rows(at: Workshop, part: Part = Split.TRAIN) -> _Rows:
    tokenizer = load_tokenizer(at.base)
    tokens = task_tokens(tokenizer)
    return _Rows(part, tokens, gold_examples(load(part), tokenizer, tokens))


def _states(at: Workshop, base: Any, rows: _Rows, height: int) -> FrozenStates:  # noqa: ANN401
    """What enters layer `height` of the base for these rows; made once."""
    folder, below = at.states(rows.part.value), None
    for rung in (known for known in KEPT_AT if known < height):
        below = keep_states(base, rows.gold, rows.tokens, rung, folder, below=below)
    return keep_states(base, rows.gold, rows.tokens, height, folder, below=below)


def _batches(examples: Sequence[Example], rows: int, epochs: float, seed: int) -> list[list[int]]:
    return bucketed([len(e) for e in examples], rows=rows, epochs=epochs, seed=seed)


def _loss_of(
    model: Any,  # noqa: ANN401 - transformers is untyped here
    examples: Sequence[Example],
    states: FrozenStates,
    tokens: TaskTokens,
    digit_weight: float,
) -> LossOf:
    def loss_of(step: int, chosen: Sequence[int]) -> Tensor:
        rows = [examples[at] for at in chosen]
        batch = collate(rows, tokens, template=step % TEMPLATE_EVERY == 0)
        entering = states.of(chosen, batch.ids_BT.shape[1])
        logits = decision_logits(model, entering, states.height, batch)
        return triage_loss(logits, batch, tokens, digit_weight=digit_weight)

    return loss_of


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m distill.triage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--base", type=Path, required=True, help="the base's GGUF file")
    parser.add_argument("--out", type=Path, required=True, help="where a run keeps its files")
    parser.add_argument("--shared", type=Path, help="a run whose base and frozen states to use")
    parser.add_argument("--taught-by", type=Path, help="a run whose teacher a student has")
    parser.add_argument("--part", choices=["calibration", "test"], default="calibration")
    parser.add_argument("--at-once", type=int, default=1, help="requests in flight (evaluate)")
    add_options(parser)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    at = Workshop(asked.base, asked.out, shared=asked.shared, taught_by=asked.taught_by)
    at.out.mkdir(parents=True, exist_ok=True)
    STAGES[asked.stage](at, asked)


STAGES: dict[str, Callable[[Workshop, argparse.Namespace], None]] = {
    "teacher": lambda at, asked: train_teacher(at, teacher_recipe(asked)),
    "label": lambda at, asked: label_texts(at, teacher_recipe(asked)),
    "student": lambda at, asked: train_student(at, teacher_recipe(asked), student_recipe(asked)),
    "export": lambda at, asked: export(at, teacher_recipe(asked), student_recipe(asked)),
    "evaluate": lambda at, asked: evaluate(at, asked.part, at_once=asked.at_once),
    "time": lambda at, _: measure_latency(at),
    "release": lambda at, asked: publish(at, teacher_recipe(asked), student_recipe(asked)),
    "probe": lambda at, asked: probe_model(at, teacher_recipe(asked), student_recipe(asked)),
}


if __name__ == "__main__":
    main()
