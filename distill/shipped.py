"""Where the last release ended: its teacher and student in PyTorch, for a run that goes on."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict

from distill.gguf_export import RoPEHeads
from distill.gguf_import import changed_weights, read_lora
from distill.students import pruned
from serving.triage.delta import open_delta
from serving.triage.manifest import manifest, verified


class Begin(StrEnum):
    """The weights that a run begins with."""

    FRESH = "fresh"
    """A new adapter; a student of the teacher's layers."""
    SHIPPED = "shipped"
    """What `serving/triage` holds."""


class OtherShape(ValueError):
    """What ships has another shape than the recipe."""


def rope_heads(model: Any) -> RoPEHeads:  # noqa: ANN401 - transformers is untyped here
    """Of a transformers Llama."""
    return RoPEHeads(model.config.num_attention_heads, model.config.num_key_value_heads)


def take_shipped_adapter(adapted: Any) -> None:  # noqa: ANN401
    """Gives a peft model the shipped adapter's weights. Raises `OtherShape`."""
    path = verified(manifest().teacher_adapter)
    read = read_lora(path, rope_heads(adapted))
    weights = {name: torch.from_numpy(values) for name, values in read.items()}
    wanted = {name: weight.shape for name, weight in get_peft_model_state_dict(adapted).items()}
    if {name: weight.shape for name, weight in weights.items()} != wanted:
        raise OtherShape(f"{path}: not an adapter of the recipe's rank and layers")
    set_peft_model_state_dict(adapted, weights)


def shipped_student(base: Any, layers: tuple[int, ...]) -> Any:  # noqa: ANN401
    """The shipped student; `base` is the base model. Raises `OtherShape`."""
    return student_of(base, verified(manifest().student_delta), layers)


def student_of(base: Any, path: Path, layers: tuple[int, ...]) -> Any:  # noqa: ANN401
    """The student of a delta file; `base` is the base model. Raises `OtherShape`."""
    delta = open_delta(path)
    if delta.base_layers != layers:
        raise OtherShape(f"{path}: a student of layers {delta.base_layers}, not {layers}")
    student = pruned(base, layers)
    untrained = {name: weight.numpy() for name, weight in student.state_dict().items()}
    for name, values in changed_weights(delta, untrained, rope_heads(base)).items():
        student.state_dict()[name].copy_(torch.from_numpy(values))
    return student
