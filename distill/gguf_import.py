"""What ships, back under PyTorch's names: the teacher's adapter and the student, to go on from.

The other direction of `distill.gguf_export`; what that rounds (float16, four bits) stays rounded.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import GGUFReader

from distill.gguf_export import NAMES, RoPEHeads
from serving.triage.delta import Delta, Floats

_MODULES = {name: module for module, name in NAMES.items()}


def rope_halves(rows: Floats, heads: int) -> Floats:
    """Rows of q or k in transformers' order; the inverse of `distill.gguf_export.rope_rows`."""
    count, columns = rows.shape
    pairs = rows.reshape(heads, count // heads // 2, 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(count, columns))


def read_lora(path: Path, heads: RoPEHeads) -> dict[str, Floats]:
    """An adapter file's weights as peft names them in a saved adapter."""
    found = {}
    for tensor in GGUFReader(path).tensors:  # "blk.29.attn_q.weight.lora_a"
        _, layer, name, _, side = tensor.name.split(".")
        rows = np.array(tensor.data, dtype=np.float32)
        if side == "lora_b" and name in heads.of:
            rows = rope_halves(rows, heads.of[name])
        key = f"base_model.model.model.layers.{layer}.{_MODULES[name]}"
        found[f"{key}.lora_{side[-1].upper()}.weight"] = rows
    return found


def changed_weights(
    delta: Delta, base: Mapping[str, Floats], heads: RoPEHeads
) -> dict[str, Floats]:
    """The trained weights of a student.

    `base` are the untrained ones under transformers' names, layers counted as the student's.
    """
    found = {}
    for own, coded in delta.coded.items():
        key, name = _key(own)
        added = coded.values()
        if name in heads.of:
            added = rope_halves(added, heads.of[name])
        found[key] = base[key] + added
    for own, values in delta.whole.items():
        key, _ = _key(own)
        found[key] = np.array(values, dtype=np.float32)
    return found


def _key(own: str) -> tuple[str, str]:
    """Transformers' name of a student's tensor, and what llama.cpp calls it inside its layer."""
    if own == "output_norm.weight":
        return "model.norm.weight", "output_norm"
    _, layer, name, _ = own.split(".")  # "blk.7.attn_q.weight"
    return f"model.layers.{layer}.{_MODULES[name]}.weight", name
