"""The recipe of the embedded default, told downward: data, teacher, labels, student, files, figures.

    python -m distill.triage all --base SmolLM2-135M-Instruct.Q4_1.gguf --out DIR

or stage by stage (teacher, label, student, export, evaluate). Every stage resumes what was cut.
The data itself is made by `distill.triage_data` and ships.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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
from distill.pretrained import load_model, load_tokenizer, unpacked
from distill.students import bottom_layers, freeze_below, pruned
from distill.teacher import AdapterShape, SoftLabel, merged, soft_labels, with_adapter
from distill.train import TrainPlan, train
from serving.triage.dataset import Split, load
from serving.triage.derive import derive

log = logging.getLogger(__name__)

TEMPLATE_EVERY = 6
"""One batch in so many trains the answer's template too."""


@dataclass(frozen=True)
class TeacherRecipe:
    """LoRA on gold labels."""

    shape: AdapterShape = AdapterShape()
    epochs: float = 0.29
    rows: int = 16
    digit_weight: float = 0.5
    plan: TrainPlan = TrainPlan(learning_rate=1e-3, warmup_steps=40, checkpoint_every=40)
    seed: int = 0


@dataclass(frozen=True)
class StudentRecipe:
    """Depth pruning, then a full fine-tune of the upper layers on the teacher's soft labels."""

    layers: tuple[int, ...] = bottom_layers(30, 12, last=1)
    first_trained: int = 7
    """Student layers below stay the base's: no gradients, no delta."""
    epochs: float = 1.0
    rows: int = 16
    teacher_share: float = 0.7
    """Of the sentiment's target; the rest is what a fresh panel of raters would say."""
    digit_weight: float = 0.3
    plan: TrainPlan = TrainPlan(learning_rate=5e-4, warmup_steps=30, checkpoint_every=50)
    seed: int = 0
    bits: int = 4
    block: int = 64


@dataclass(frozen=True)
class Workshop:
    """Where a run reads and writes."""

    base_gguf: Path
    out: Path

    @property
    def base(self) -> Path:
        return unpacked(self.base_gguf, self.out / "base")

    @property
    def adapter(self) -> Path:
        return self.out / "teacher"

    @property
    def labels(self) -> Path:
        return self.out / "labels.jsonl"

    @property
    def student(self) -> Path:
        return self.out / "student.pt"


def train_teacher(at: Workshop, recipe: TeacherRecipe) -> None:
    """Gold labels into an adapter, saved in peft's form."""
    tokens, examples = _examples(at, Split.TRAIN)
    adapted = with_adapter(load_model(at.base), recipe.shape, recipe.seed)
    core = adapted.base_model.model
    batches = _batches(examples, recipe.rows, recipe.epochs, recipe.seed)

    def loss_of(step: int, chosen: Sequence[int]) -> Tensor:
        return _loss(core, [examples[i] for i in chosen], tokens, step, recipe.digit_weight)

    checkpoint = at.out / "teacher.pt"
    train(adapted, batches, loss_of, recipe.plan, checkpoint=checkpoint, clock=time.monotonic)
    adapted.save_pretrained(at.adapter)


def label_texts(at: Workshop, limit: int | None) -> None:
    """The teacher's soft labels for the training texts, appended to a file; resumes."""
    tokens, examples = _examples(at, Split.TRAIN)
    known = {label.id for label in _read_labels(at)}
    model = merged(load_model(at.base), at.adapter)
    asked = [example for example in examples if example.id not in known]
    with at.labels.open("a", encoding="utf-8") as file:
        written = len(known)
        for batch in soft_labels(model, asked, tokens):
            file.writelines(json.dumps(asdict(label)) + "\n" for label in batch)
            file.flush()
            written += len(batch)
            log.info("labelled %d of %d", written, len(examples))
            if limit is not None and written >= limit:
                return


def train_student(at: Workshop, recipe: StudentRecipe) -> None:
    """The teacher's layers, fewer of them, trained to give its soft labels."""
    tokens, gold = _examples(at, Split.TRAIN)
    labels = {label.id: label for label in _read_labels(at)}
    examples = [
        distilled(row, labels[row.id], recipe.teacher_share) if row.id in labels else row
        for row in gold
    ]
    log.info("%d rows, %d of them with the teacher's soft labels", len(gold), len(labels))
    torch.manual_seed(recipe.seed)
    student = pruned(merged(load_model(at.base), at.adapter), recipe.layers)
    freeze_below(student, recipe.first_trained)
    batches = _batches(examples, recipe.rows, recipe.epochs, recipe.seed)

    def loss_of(step: int, chosen: Sequence[int]) -> Tensor:
        return _loss(student, [examples[i] for i in chosen], tokens, step, recipe.digit_weight)

    checkpoint = at.out / "student-run.pt"
    train(student, batches, loss_of, recipe.plan, checkpoint=checkpoint, clock=time.monotonic)
    torch.save(student.state_dict(), at.student)


def distilled(example: Example, label: SoftLabel, teacher_share: float) -> Example:
    """A gold row turned into the teacher's: its answer, and targets mixed with the raters'."""
    mixed = (
        teacher_share * taught + (1 - teacher_share) * rated
        for taught, rated in zip(label.sentiment_S, example.sentiment_S, strict=True)
    )
    return replace(
        example, answer=label.answer, sentiment_S=tuple(mixed), intensity_S=label.intensity_S
    )


def export(at: Workshop, teacher: TeacherRecipe, student: StudentRecipe) -> None:
    """The two files that ship, and the student derived from them as a user's machine does."""
    from safetensors.numpy import load_file

    settings = load_model(at.base).config
    heads = {"heads": settings.num_attention_heads, "kv_heads": settings.num_key_value_heads}
    export_lora(
        load_file(at.adapter / "adapter_model.safetensors"),
        at.out / "teacher-lora.gguf",
        alpha=teacher.shape.alpha,
        **heads,
    )
    weights = {k: v.numpy() for k, v in torch.load(at.student, weights_only=True).items()}
    error = export_delta(
        weights,
        at.base_gguf,
        at.out / "student-delta.gguf",
        base_layers=student.layers,
        trained=range(student.first_trained, len(student.layers)),
        bits=student.bits,
        block=student.block,
        **heads,
    )
    log.info("delta coded in %d bits, relative error %.3f", student.bits, error)
    derive(at.base_gguf, at.out / "student-delta.gguf", at.out / "triage-student.gguf")


def _examples(at: Workshop, split: Any) -> tuple[TaskTokens, list[Example]]:
    tokenizer = load_tokenizer(at.base)
    tokens = task_tokens(tokenizer)
    return tokens, gold_examples(load(split), tokenizer, tokens)


def _batches(
    examples: Sequence[Example], rows: int, epochs: float, seed: int
) -> list[list[int]]:
    return bucketed([len(e) for e in examples], rows=rows, epochs=epochs, seed=seed)


def _loss(
    model: Any, rows: list[Example], tokens: TaskTokens, step: int, digit_weight: float
) -> Tensor:
    batch = collate(rows, tokens, template=step % TEMPLATE_EVERY == 0)
    logits = decision_logits(model, batch, tokens)
    return triage_loss(logits, batch, tokens, digit_weight=digit_weight)


def _read_labels(at: Workshop) -> list[SoftLabel]:
    if not at.labels.exists():
        return []
    rows = (json.loads(line) for line in at.labels.read_text("utf-8").splitlines())
    return [
        SoftLabel(row["id"], tuple(row["sentiment_S"]), tuple(row["intensity_S"])) for row in rows
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m distill.triage", description=__doc__)
    parser.add_argument("stage", choices=["teacher", "label", "student", "export"])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--label-limit", type=int)
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--layers", type=lambda s: tuple(int(x) for x in s.split(",")))
    parser.add_argument("--first-trained", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--bits", type=int)
    parser.add_argument("--block", type=int)
    parser.add_argument("--teacher-share", type=float)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_flush_denormal(True)
    at = Workshop(asked.base, asked.out)
    r = StudentRecipe()
    changes = {k: v for k, v in dict(epochs=asked.epochs, layers=asked.layers, first_trained=asked.first_trained, bits=asked.bits, block=asked.block, teacher_share=asked.teacher_share).items() if v is not None}
    r = replace(r, **changes)
    if asked.lr: r = replace(r, plan=replace(r.plan, learning_rate=asked.lr))
    if asked.stage == "teacher": train_teacher(at, TeacherRecipe())
    if asked.stage == "label": label_texts(at, asked.label_limit)
    if asked.stage == "student": train_student(at, r)
    if asked.stage == "export": export(at, TeacherRecipe(), r)


if __name__ == "__main__":
    main()
