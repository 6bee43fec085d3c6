# ruff: noqa: E402 - torch may be absent: skip before importing what needs it
"""What was exported comes back under its own names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from distill.gguf_export import NAMES, RoPEHeads, export_lora, rope_rows
from distill.gguf_import import changed_weights, read_lora, rope_halves
from distill.shipped import OtherShape, shipped_student, take_shipped_adapter
from distill.teacher import AdapterShape, with_adapter
from serving.triage.delta import Delta, encode

HEADS = RoPEHeads(query=4, key=2)


def random(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_rows_come_back_in_their_order() -> None:
    rows = random(16, 3, seed=0)
    assert np.array_equal(rope_halves(rope_rows(rows, 4), 4), rows)
    assert not np.array_equal(rope_rows(rows, 4), rows)


def test_an_adapter_comes_back_with_its_names_and_weights(tmp_path: Path) -> None:
    key = "base_model.model.model.layers.3.{}.lora_{}.weight"
    weights = {
        key.format(module, side): random(*shape, seed=at)
        for at, module in enumerate(["self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj"])
        for side, shape in (("A", (2, 32)), ("B", (32, 2)))
    }
    export_lora(weights, tmp_path / "lora.gguf", alpha=4, heads=HEADS)
    found = read_lora(tmp_path / "lora.gguf", HEADS)

    assert set(found) == set(weights)
    for name, values in weights.items():
        assert np.array_equal(found[name], values.astype(np.float16)), name


def test_a_students_changes_are_added_in_transformers_order() -> None:
    base, wanted, coded, whole = {}, {}, {}, {"output_norm.weight": random(64, seed=9)}
    for at, (module, name) in enumerate(NAMES.items()):
        key, own = f"model.layers.1.{module}.weight", f"blk.1.{name}.weight"
        if name.endswith("norm"):
            whole[own] = wanted[key] = random(64, seed=at)
            continue
        base[key], change = random(64, 64, seed=at), random(64, 64, seed=20 + at)
        in_file = rope_rows(change, HEADS.of[name]) if name in HEADS.of else change
        coded[own] = encode(in_file, bits=8, block=64)
        wanted[key] = base[key] + change
    found = changed_weights(Delta((0, 2), coded, whole), base, HEADS)

    assert set(found) == {*wanted, "model.norm.weight"}
    for key, values in wanted.items():
        assert np.abs(found[key] - values).max() < 0.05, key
    assert np.array_equal(found["model.norm.weight"], whole["output_norm.weight"])


def test_a_release_of_another_shape_is_refused(model: Any) -> None:
    with pytest.raises(OtherShape, match="a student of layers"):
        shipped_student(model, (0, 3))
    adapted = with_adapter(model, AdapterShape(rank=2, alpha=4, first_layer=2), seed=0)
    with pytest.raises(OtherShape, match="rank and layers"):
        take_shipped_adapter(adapted)
