"""PyTorch weights to the files that ship: the teacher's LoRA and the student's delta, both GGUF.

llama.cpp rotates q and k in pairs of neighbouring rows, transformers in halves of a head: rows of
q and k are reordered on the way (for a LoRA: the rows of B).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize

from serving.triage.delta import Delta, Floats, encode, save_delta

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
"""transformers' names inside a Llama layer and llama.cpp's."""


def rope_rows(rows: Floats, heads: int) -> Floats:
    """Rows of q or k in llama.cpp's order; `rows` has heads · head_dim rows."""
    count, columns = rows.shape
    pairs = rows.reshape(heads, 2, count // heads // 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(count, columns))


@dataclass(frozen=True)
class RoPEHeads:
    """How many heads the matrices have whose rows are reordered."""

    query: int
    key: int

    @property
    def of(self) -> dict[str, int]:
        """Heads by llama.cpp's name."""
        return {"attn_q": self.query, "attn_k": self.key}


def _in_file_order(name: str, rows: Floats, heads: RoPEHeads) -> Floats:
    return rope_rows(rows, heads.of[name]) if name in heads.of else rows


def export_lora(
    weights: Mapping[str, npt.NDArray[np.float32]],
    path: Path,
    *,
    alpha: float,
    heads: RoPEHeads,
) -> None:
    """Writes a peft state dict as the adapter file that llama.cpp loads, in float16."""
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for key, values in sorted(weights.items()):
        inside = key.split(".layers.")[1]  # "29.self_attn.q_proj.lora_A.weight"
        layer, _, rest = inside.partition(".")
        module, _, side = rest.removesuffix(".weight").rpartition(".")
        name = NAMES[module]
        if side == "lora_B":
            values = _in_file_order(name, values, heads)  # noqa: PLW2901
        writer.add_tensor(f"blk.{layer}.{name}.weight.{side.lower()}", values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def export_delta(
    student: Mapping[str, npt.NDArray[np.float32]],
    base: Path,
    path: Path,
    *,
    base_layers: Sequence[int],
    trained: Sequence[int],
    bits: int,
    block: int,
    heads: RoPEHeads,
) -> float:
    """Writes what training added to the base's layers; returns the relative error of the coding.

    `student` is a transformers state dict, `trained` its layers that differ from the base's (all
    others are the base file's bytes). The error is ‖coded - true‖ / ‖true‖ over all differences.
    """
    stored = {tensor.name: tensor for tensor in GGUFReader(base).tensors}
    coded, whole = {}, {"output_norm.weight": student["model.norm.weight"]}
    lost = total = 0.0
    for at in trained:
        for module, name in NAMES.items():
            values = student[f"model.layers.{at}.{module}.weight"]
            own = f"blk.{at}.{name}.weight"
            if values.ndim == 1:
                whole[own] = values
                continue
            was = stored[f"blk.{base_layers[at]}.{name}.weight"]
            plain = dequantize(was.data, was.tensor_type).astype(np.float32)
            rows = _in_file_order(name, values, heads)
            coded[own] = encode(rows - plain, bits=bits, block=block)
            lost += float(np.square(coded[own].values() - (rows - plain)).sum())
            total += float(np.square(rows - plain).sum())
    save_delta(Delta(tuple(base_layers), coded, whole), path)
    return float(np.sqrt(lost / total))
