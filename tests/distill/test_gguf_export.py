"""Exports: row order, names, and that what is derived is what was trained."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf")

from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from distill.gguf_export import NAMES, RoPEHeads, export_delta, export_lora, rope_rows
from serving.triage.derive import derive

WIDTH, HEADS = 64, RoPEHeads(query=4, key=2)
Q4, Q8 = GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0
ROWS = {"attn_k": WIDTH // 2, "attn_v": WIDTH // 2}


def random(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_rotated_halves_become_neighbouring_pairs() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]
    assert rope_rows(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_an_adapter_is_named_as_llama_cpp_expects(tmp_path: Path) -> None:
    key = "base_model.model.model.layers.3.self_attn.q_proj.lora_{}.weight"
    b = random(WIDTH, 2, seed=1)
    weights = {key.format("A"): random(2, WIDTH, seed=0), key.format("B"): b}
    path = tmp_path / "lora.gguf"
    export_lora(weights, path, alpha=4, heads=HEADS)
    read = GGUFReader(path)
    found = {tensor.name: np.array(tensor.data) for tensor in read.tensors}
    assert set(found) == {"blk.3.attn_q.weight.lora_a", "blk.3.attn_q.weight.lora_b"}
    assert np.array_equal(found["blk.3.attn_q.weight.lora_b"], rope_rows(b, 4).astype(np.float16))
    assert read.fields["adapter.type"].contents() == "lora"
    assert read.fields["adapter.lora.alpha"].contents() == 4


def test_what_is_derived_is_what_was_trained(tmp_path: Path) -> None:
    base, student = tmp_path / "base.gguf", {}
    writer = GGUFWriter(base, "llama")
    writer.add_block_count(3)
    writer.add_tensor("token_embd.weight", quantize(random(8, WIDTH, seed=99), Q8), raw_dtype=Q8)
    for layer in range(3):
        for at, (module, name) in enumerate(NAMES.items()):
            if name.endswith("norm"):
                values = random(WIDTH, seed=at)
                writer.add_tensor(f"blk.{layer}.{name}.weight", values)
            else:
                rows = random(ROWS.get(name, WIDTH), WIDTH, seed=10 * layer + at)
                writer.add_tensor(f"blk.{layer}.{name}.weight", quantize(rows, Q4), raw_dtype=Q4)
                values = rows + 0.01 * random(*rows.shape, seed=at)
            student[f"model.layers.{layer}.{module}.weight"] = values
    writer.add_tensor("output_norm.weight", random(WIDTH, seed=5))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    trained = {
        key.replace("layers.2", "layers.1"): value for key, value in student.items() if ".2." in key
    }
    trained["model.norm.weight"] = random(WIDTH, seed=6)
    delta, out = tmp_path / "delta.gguf", tmp_path / "student.gguf"
    export_delta(
        trained,
        base,
        delta,
        base_layers=(0, 2),
        trained=(1,),
        bits=8,
        block=64,
        heads=HEADS,
    )
    derive(base, delta, out)

    found = {t.name: t for t in GGUFReader(out).tensors}
    for module, name in NAMES.items():
        tensor = found[f"blk.1.{name}.weight"]
        wanted = trained[f"model.layers.1.{module}.weight"]
        if name in HEADS.of:
            wanted = rope_rows(wanted, HEADS.of[name])
        assert np.abs(dequantize(tensor.data, tensor.tensor_type) - wanted).max() < 0.05
    assert np.array_equal(np.array(found["output_norm.weight"].data), random(WIDTH, seed=6))
