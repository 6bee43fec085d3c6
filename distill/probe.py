"""A quick look at a trained model in PyTorch: no export, no engine. What ships is judged served."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.examples import Example, TaskTokens
from distill.states import FrozenStates
from distill.teacher import SoftLabel, soft_labels
from router.deferral import auroc
from router.interval import Interval, wilson_interval


@dataclass(frozen=True)
class Probe:
    """right: share with the right sentiment; auroc: of its probability, for being right."""

    right: Interval
    auroc: float
    labels: list[SoftLabel]


def probe(
    model: Any,  # noqa: ANN401 - transformers is untyped here
    examples: Sequence[Example],
    states: FrozenStates,
    tokens: TaskTokens,
) -> Probe:
    """What the model prefers at the label; the answer's form is not looked at."""
    gold = {example.id: example.answer.sentiment for example in examples}
    batches = soft_labels(model, examples, range(len(examples)), states, tokens)
    labels = [label for batch in batches for label in batch]
    right = np.array([label.sentiment is gold[label.id] for label in labels])
    confidence = np.array([max(label.sentiment_S) for label in labels])
    interval = wilson_interval(float(right.mean()), len(right))
    return Probe(interval, auroc(confidence, right), labels)
