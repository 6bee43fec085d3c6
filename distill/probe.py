"""A quick look at a trained model in PyTorch: no export, no engine. What ships is judged served."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.examples import TaskTokens, Tokenizer, gold_examples
from distill.teacher import soft_labels
from router.deferral import auroc
from router.interval import Interval, wilson_interval
from serving.triage.dataset import Feedback


@dataclass(frozen=True)
class Probe:
    """right: share with the right sentiment; auroc: of its probability, for being right."""

    right: Interval
    auroc: float


def probe(
    model: Any,  # noqa: ANN401 - transformers is untyped here
    items: Sequence[Feedback],
    tokenizer: Tokenizer,
    tokens: TaskTokens,
) -> Probe:
    """What the model prefers at the label, on `items`; the answer's form is not looked at."""
    gold = {item.id: item.gold.sentiment for item in items}
    labels = [
        label
        for batch in soft_labels(model, gold_examples(items, tokenizer, tokens), tokens)
        for label in batch
    ]
    right = np.array([label.answer.sentiment is gold[label.id] for label in labels])
    confidence = np.array([max(label.sentiment_S) for label in labels])
    return Probe(wilson_interval(float(right.mean()), len(right)), auroc(confidence, right))
