# ruff: noqa: N803, N806, N815 - tensors carry their axes in their names
"""The teacher: the base with a LoRA adapter on its upper layers, and the soft targets it gives."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from distill.examples import Example, TaskTokens, collate
from distill.layers import run_to_top
from distill.states import FrozenStates
from serving.triage.task import Sentiment

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class AdapterShape:
    """Where the adapter sits; layers below `first_layer` stay the base's and need no gradients."""

    rank: int = 16
    alpha: int = 32
    first_layer: int = 16


def with_adapter(base: Any, shape: AdapterShape, seed: int) -> Any:  # noqa: ANN401
    """The base (bf16, frozen) with a fresh adapter (float32, trained)."""
    torch.manual_seed(seed)
    layers = list(range(shape.first_layer, base.config.num_hidden_layers))
    settings = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        target_modules=list(PROJECTIONS),
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, settings)


def merged(base: Any, adapter: Path) -> Any:  # noqa: ANN401
    """The teacher as one plain model: its layers are where a student begins."""
    return PeftModel.from_pretrained(base, adapter).merge_and_unload()


@dataclass(frozen=True)
class SoftLabel:
    """What the teacher says about one text."""

    id: str
    sentiment_S: tuple[float, ...]
    """Over `Sentiment`, in order."""
    intensity_S: tuple[float, ...]
    """Over 0 to 4, given the sentiment that the row states."""

    @property
    def sentiment(self) -> Sentiment:
        """What it writes when it is greedy."""
        best = max(range(len(self.sentiment_S)), key=self.sentiment_S.__getitem__)
        return list(Sentiment)[best]


def soft_labels(
    model: Any,  # noqa: ANN401
    examples: Sequence[Example],
    chosen: Sequence[int],
    states: FrozenStates,
    tokens: TaskTokens,
    *,
    rows: int = 32,
    workers: int = 2,
) -> Iterator[list[SoftLabel]]:
    """The model's soft labels for the `chosen` examples, batch by batch, short texts first.

    `states` are those of all `examples`. Probabilities are renormalised over the symbols.
    """
    order = sorted(chosen, key=lambda at: len(examples[at]))
    batches = [order[at : at + rows] for at in range(0, len(order), rows)]
    model.eval()
    torch.set_num_threads(1)

    @torch.no_grad()
    def label(some: Sequence[int]) -> list[SoftLabel]:
        batch = collate([examples[at] for at in some], tokens, template=False)
        entering = states.of(some, batch.ids_BT.shape[1])
        asked_at_BQ = torch.stack([batch.label_at_B, batch.digit_at_B], dim=1)
        hidden_BQD = run_to_top(model, entering, states.height, asked_at_BQ)
        sentiment_BS = _symbols(model, hidden_BQD[:, 0], tokens.label_ids)
        intensity_BS = _symbols(model, hidden_BQD[:, 1], tokens.digit_ids)
        return [
            SoftLabel(examples[at].id, tuple(sentiment), tuple(intensity))
            for at, sentiment, intensity in zip(
                some, sentiment_BS.tolist(), intensity_BS.tolist(), strict=True
            )
        ]

    with ThreadPoolExecutor(workers) as pool:  # whole batches side by side, as in distill.train
        for start in range(0, len(batches), workers):
            yield from pool.map(label, batches[start : start + workers])


def _symbols(model: Any, hidden_BD: Tensor, symbol_ids: tuple[int, ...]) -> Tensor:  # noqa: ANN401
    """Probabilities of the symbols, shape (B, S)."""
    head_SD = model.lm_head.weight[list(symbol_ids)]
    return (hidden_BD @ head_SD.T).float().softmax(dim=-1)


def save_soft_labels(labels: Iterable[SoftLabel], path: Path, *, mode: str = "w") -> None:
    """One JSON object a line; with mode "a" after those that are there."""
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(label)) + "\n" for label in labels)


def read_soft_labels(path: Path) -> list[SoftLabel]:
    """What was labelled so far, one JSON object a line; nothing if there is no file."""
    if not path.exists():
        return []
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return [
        SoftLabel(row["id"], tuple(row["sentiment_S"]), tuple(row["intensity_S"])) for row in rows
    ]


def distilled(example: Example, label: SoftLabel, teacher_share: float) -> Example:
    """A gold row with targets mixed of the teacher's and the raters'."""

    def mixed(taught: Sequence[float], rated: Sequence[float]) -> tuple[float, ...]:
        pairs = zip(taught, rated, strict=True)
        return tuple(teacher_share * one + (1 - teacher_share) * other for one, other in pairs)

    return replace(
        example,
        sentiment_S=mixed(label.sentiment_S, example.sentiment_S),
        intensity_S=mixed(label.intensity_S, example.intensity_S),
    )
