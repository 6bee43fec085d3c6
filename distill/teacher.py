"""The teacher: the base with a LoRA adapter on its upper layers, and the soft targets it gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from distill.examples import Example, TaskTokens, bucketed, collate
from distill.forward import decision_logits
from serving.triage.task import STRONGEST, Answer, Sentiment

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class AdapterShape:
    """Where the adapter sits; layers below `first_layer` stay the base's and need no gradients."""

    rank: int = 16
    alpha: int = 32
    first_layer: int = 10


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


