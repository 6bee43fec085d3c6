"""The next triage student: the incumbent, trained on harvested rows and, lest it forget, old ones.

The lowest layers stay the base's, as in the recipe, so what enters the trained ones is computed
once a row.
"""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.config import TrainRules
from distill.examples import (
    Example,
    TaskTokens,
    bucketed,
    collate,
    gold_examples,
    task_tokens,
    text_ids,
)
from distill.forward import decision_logits
from distill.gates import Gate, Refused
from distill.gguf_export import export_delta
from distill.layers import States
from distill.losses import triage_loss
from distill.pretrained import load_model, load_tokenizer
from distill.recipe import StudentRecipe, Workshop
from distill.rows import Row
from distill.shipped import rope_heads, student_of
from distill.states import FrozenStates, keep_states
from distill.students import freeze_below
from distill.teacher import distilled, read_soft_labels
from distill.train import LossOf, TrainPlan, train
from serving.triage.dataset import Split, load
from serving.triage.derive import derive
from serving.triage.task import Sentiment, parse_answer

_TEMPLATE_EVERY = 6
_CERTAIN = 0.97
"""The share that a hard label has of a soft target; the rest is spread over the other symbols."""


@dataclass(frozen=True)
class Material:
    """incumbent: its delta file. scratch: where states of new rows are kept meanwhile."""

    at: Workshop
    incumbent: Path
    train: Sequence[Row]
    valid: Sequence[Row]
    scratch: Path


@dataclass(frozen=True)
class Lot:
    """Rows with the states that enter the trained layers."""

    examples: list[Example]
    states: FrozenStates


@dataclass(frozen=True)
class Bench:
    """What rows are read and run with."""

    base: Any
    tokenizer: Any
    tokens: TaskTokens
    recipe: StudentRecipe

    def lot(self, examples: list[Example], folder: Path) -> Lot:
        """States are kept in `folder`, for the next attempt at the same rows."""
        height = self.recipe.first_trained
        if examples:
            return Lot(examples, keep_states(self.base, examples, self.tokens, height, folder))
        width = self.base.config.hidden_size
        prefix = torch.zeros(1, len(self.tokens.prefix_ids), width)
        nothing = np.zeros((0, width), dtype=np.float16)
        return Lot([], FrozenStates(height, prefix, nothing, np.zeros(1, dtype=np.int64)))


def train_student(
    material: Material, rules: TrainRules, out: Path, *, clock: Callable[[], float]
) -> None:
    """Writes `student-delta.gguf`, `student.gguf` and `losses.json` into `out`, where checkpoints
    are too: a run that was cut goes on from them. Raises Refused if the loss is no number.
    """
    at, recipe = material.at, StudentRecipe()
    base, tokenizer = load_model(at.base), load_tokenizer(at.base)
    bench = Bench(base, tokenizer, task_tokens(tokenizer), recipe)
    old, some = _old_rows(bench, at, rules)
    new = bench.lot([_example(row, bench) for row in material.train], material.scratch / "train")
    valid = bench.lot([_example(row, bench) for row in material.valid], material.scratch / "valid")
    student = student_of(base, material.incumbent, recipe.layers)
    freeze_below(student, recipe.first_trained)

    before = mean_loss(student, valid, bench)
    chosen = [(old, row) for row in some]
    chosen += [(new, row) for row in range(len(new.examples))] * rules.harvest_times
    lengths = [len(lot.examples[row]) for lot, row in chosen]
    batches = bucketed(lengths, rows=recipe.rows, epochs=1, seed=rules.seed)
    plan, steps = _plan(recipe, rules, len(batches)), dict[int, float]()
    loss_of = mixed_loss(student, chosen, bench, heard=steps.__setitem__)
    checkpoint = out / "checkpoint.pt"
    train(student, batches, loss_of, plan, checkpoint=checkpoint, clock=clock)
    after = mean_loss(student, valid, bench)
    must_be_finite(after, "the loss on the rows kept to look at")

    weights = {name: values.numpy() for name, values in student.state_dict().items()}
    error = export_delta(
        weights,
        at.base_gguf,
        out / "student-delta.gguf",
        base_layers=recipe.layers,
        trained=range(recipe.first_trained, len(recipe.layers)),
        bits=recipe.bits,
        block=recipe.block,
        heads=rope_heads(base),
    )
    derive(at.base_gguf, out / "student-delta.gguf", out / "student.gguf")
    told = {
        "rules": rules.model_dump(),
        "old_rows": len(some),
        "new_rows": len(new.examples),
        "steps": len(batches),
        "valid_loss_before": before,
        "valid_loss_after": after,
        "coding_error": error,
        "losses": {str(step): round(value, 4) for step, value in sorted(steps.items())},
    }
    (out / "losses.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    checkpoint.unlink()


def _plan(recipe: StudentRecipe, rules: TrainRules, steps: int) -> TrainPlan:
    return replace(
        recipe.plan,
        learning_rate=rules.learning_rate,
        warmup_steps=min(recipe.plan.warmup_steps, max(1, steps // 10)),
        workers=rules.workers,
        checkpoint_every=25,
    )


def _old_rows(bench: Bench, at: Workshop, rules: TrainRules) -> tuple[Lot, list[int]]:
    """The seed's share of the training part; another run's states serve, which are of all of it."""
    items = load(Split.TRAIN)
    dice = random.Random(rules.seed)  # noqa: S311 - not a secret
    some = sorted(dice.sample(range(len(items)), round(rules.old_share * len(items))))
    if at.shared is None:
        items, some = [items[row] for row in some], list(range(len(some)))
    gold = gold_examples(items, bench.tokenizer, bench.tokens)
    labels = {label.id: label for label in read_soft_labels(at.teacher.labels)}
    share = bench.recipe.teacher_share
    lot = bench.lot(gold, at.states("train"))
    mixed = [distilled(row, labels[row.id], share) if row.id in labels else row for row in gold]
    return Lot(mixed, lot.states), some


def _example(row: Row, bench: Bench) -> Example:
    answer = parse_answer(row.answer or "")
    place = list(Sentiment).index(answer.sentiment)
    sentiment, intensity = row.odds or (
        _hard(place, len(bench.tokens.label_ids)),
        _hard(answer.intensity, len(bench.tokens.digit_ids)),
    )
    ids = text_ids(row.trace_id, row.text, bench.tokenizer, bench.tokens)
    return Example(row.trace_id, ids, answer, sentiment, intensity)


def _hard(place: int, symbols: int) -> tuple[float, ...]:
    rest = (1.0 - _CERTAIN) / (symbols - 1)
    return tuple(_CERTAIN if at == place else rest for at in range(symbols))


def mixed_loss(
    student: Any,  # noqa: ANN401 - transformers is untyped here
    chosen: Sequence[tuple[Lot, int]],
    bench: Bench,
    *,
    heard: Callable[[int, float], None],
) -> LossOf:
    """The recipe's loss over rows of several lots. Each step's is told; one that is no number
    closes a gate before it reaches the weights.
    """

    def loss_of(step: int, batch: Sequence[int]) -> Tensor:
        rows = [chosen[at] for at in batch]
        examples = [lot.examples[row] for lot, row in rows]
        collated = collate(examples, bench.tokens, template=step % _TEMPLATE_EVERY == 0)
        width = collated.ids_BT.shape[1]
        parts = [lot.states.of([row], width) for lot, row in rows]
        entering = States(parts[0].prefix_1PD, torch.cat([part.rows_BTD for part in parts]))
        logits = decision_logits(student, entering, bench.recipe.first_trained, collated)
        weight = bench.recipe.digit_weight
        loss = triage_loss(logits, collated, bench.tokens, digit_weight=weight)
        must_be_finite(loss.item(), f"the loss of step {step + 1}")
        heard(step, loss.item())
        return loss

    return loss_of


@torch.no_grad()
def mean_loss(student: Any, lot: Lot, bench: Bench) -> float:  # noqa: ANN401
    """Nats a row, of the answers' symbols; 0 of no rows."""
    if not lot.examples:
        return 0.0
    batch = collate(lot.examples, bench.tokens, template=False)
    entering = lot.states.of(range(len(lot.examples)), batch.ids_BT.shape[1])
    logits = decision_logits(student, entering, bench.recipe.first_trained, batch)
    weight = bench.recipe.digit_weight
    return float(triage_loss(logits, batch, bench.tokens, digit_weight=weight).item())


def must_be_finite(value: float, what: str) -> None:
    """Raises Refused."""
    if not math.isfinite(value):
        raise Refused(
            Gate.LOSS_NOT_FINITE,
            f"{what} is {value}; lower the learning rate, or look for a row that is out of order",
        )
