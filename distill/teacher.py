# ruff: noqa: N803, N806, N815 - tensors carry their axes in their names
"""The teacher: the base with a LoRA adapter on its upper layers, and the soft targets it gives."""

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from distill.examples import Example, TaskTokens
from serving.triage.task import Answer, Sentiment

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
    """Over 0 to 4, given the sentiment it prefers."""

    @property
    def answer(self) -> Answer:
        """What it writes when it is greedy."""
        best = max(range(len(self.sentiment_S)), key=self.sentiment_S.__getitem__)
        digit = max(range(len(self.intensity_S)), key=self.intensity_S.__getitem__)
        return Answer(list(Sentiment)[best], digit)


def soft_labels(
    model: Any,  # noqa: ANN401
    examples: Sequence[Example],
    tokens: TaskTokens,
    *,
    rows: int = 32,
    seed: int = 0,
    workers: int = 2,
) -> Iterator[list[SoftLabel]]:
    """The teacher's soft labels, batch by batch, in an order that is random over lengths.

    Rows of a batch are equally long, so that the answer it prefers can be continued without
    padding: first the label's distribution, then the digit's after that label. Probabilities are
    renormalised over the symbols.
    """
    by_length: dict[int, list[Example]] = {}
    for example in examples:
        by_length.setdefault(len(example), []).append(example)
    batches = [
        group[at : at + rows] for group in by_length.values() for at in range(0, len(group), rows)
    ]
    random.Random(seed).shuffle(batches)  # noqa: S311 - not a secret
    model.eval()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(workers) as pool:  # whole batches side by side, as in distill.train
        for start in range(0, len(batches), workers):
            some = batches[start : start + workers]
            yield from pool.map(lambda batch: _label_batch(model, batch, tokens), some)


@torch.no_grad()
def _label_batch(model: Any, batch: Sequence[Example], tokens: TaskTokens) -> list[SoftLabel]:  # noqa: ANN401
    answers = [tokens.answer_ids[Answer(label, 0)] for label in Sentiment]
    head = answers[0][: tokens.label_at]
    shared = model.model(torch.tensor([tokens.prefix_ids]), use_cache=True).past_key_values
    shared.batch_repeat_interleave(len(batch))
    ids_BT = torch.tensor([[*example.text_ids, *head] for example in batch])
    asked = model.model(ids_BT, past_key_values=shared, use_cache=True)
    sentiment_BS = _symbols(model, asked.last_hidden_state, tokens.label_ids)
    preferred_B = sentiment_BS.argmax(dim=-1).tolist()
    tail_BT = torch.tensor([answers[at][tokens.label_at : tokens.digit_at] for at in preferred_B])
    said = model.model(tail_BT, past_key_values=asked.past_key_values, use_cache=True)
    intensity_BS = _symbols(model, said.last_hidden_state, tokens.digit_ids)
    return [
        SoftLabel(example.id, tuple(sentiment), tuple(intensity))
        for example, sentiment, intensity in zip(
            batch, sentiment_BS.tolist(), intensity_BS.tolist(), strict=True
        )
    ]


def _symbols(model: Any, hidden_BTD: Tensor, symbol_ids: tuple[int, ...]) -> Tensor:  # noqa: ANN401
    """Probabilities of the symbols after each row's last token, shape (B, S)."""
    head_SD = model.lm_head.weight[list(symbol_ids)]
    return (hidden_BTD[:, -1] @ head_SD.T).float().softmax(dim=-1)


def read_soft_labels(path: Path) -> list[SoftLabel]:
    """What was labelled so far, one JSON object a line; nothing if there is no file."""
    if not path.exists():
        return []
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return [
        SoftLabel(row["id"], tuple(row["sentiment_S"]), tuple(row["intensity_S"])) for row in rows
    ]


def distilled(example: Example, label: SoftLabel, teacher_share: float) -> Example:
    """A gold row turned into the teacher's: its answer, and targets mixed with the raters'."""
    mixed = (
        teacher_share * taught + (1 - teacher_share) * rated
        for taught, rated in zip(label.sentiment_S, example.sentiment_S, strict=True)
    )
    return replace(
        example, answer=label.answer, sentiment_S=tuple(mixed), intensity_S=label.intensity_S
    )
