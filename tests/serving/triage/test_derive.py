"""Deriving the student, on a toy base of three layers: no download, no training."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf")

from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from serving.triage import derive_student
from serving.triage.delta import Delta, encode, save_delta
from serving.triage.derive import WrongFile, derive
from serving.triage.manifest import file_sha256

WIDTH, LAYERS, VOCABULARY = 64, 3, 10
Q4, Q8 = GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_name("toy")
    writer.add_token_list([f"token{at}" for at in range(VOCABULARY)])
    writer.add_tensor("token_embd.weight", quantize(random(VOCABULARY, WIDTH), Q8), raw_dtype=Q8)
    for layer in range(LAYERS):
        rows = quantize(random(WIDTH, WIDTH, seed=layer), Q4)
        writer.add_tensor(f"blk.{layer}.attn_q.weight", rows, raw_dtype=Q4)
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", random(WIDTH, seed=10 + layer))
    writer.add_tensor("output_norm.weight", random(WIDTH))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def change() -> np.ndarray:
    return 0.1 * random(WIDTH, WIDTH, seed=7)


@pytest.fixture
def delta(tmp_path: Path, change: np.ndarray) -> Path:
    path = tmp_path / "delta.gguf"
    coded = {"blk.1.attn_q.weight": encode(change, bits=4, block=64)}
    save_delta(Delta((0, 2), coded, {"blk.1.attn_norm.weight": np.ones(WIDTH, np.float32)}), path)
    return path


def tensors(path: Path) -> dict[str, tuple[GGMLQuantizationType, np.ndarray]]:
    return {t.name: (t.tensor_type, np.array(t.data)) for t in GGUFReader(path).tensors}


def test_the_same_files_give_the_same_bytes(tmp_path: Path, base: Path, delta: Path) -> None:
    derive(base, delta, tmp_path / "one.gguf")
    derive(base, delta, tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()


def test_untrained_layers_and_the_embedding_are_the_bases_bytes(
    tmp_path: Path, base: Path, delta: Path
) -> None:
    derive(base, delta, tmp_path / "student.gguf")
    before, after = tensors(base), tensors(tmp_path / "student.gguf")
    for name in ("token_embd.weight", "output_norm.weight", "blk.0.attn_q.weight"):
        assert after[name][0] is before[name][0]
        assert np.array_equal(after[name][1], before[name][1])


def test_a_trained_layer_is_its_base_layer_plus_the_change(
    tmp_path: Path, base: Path, delta: Path, change: np.ndarray
) -> None:
    derive(base, delta, tmp_path / "student.gguf")
    before, after = tensors(base), tensors(tmp_path / "student.gguf")
    kind, blocks = after["blk.1.attn_q.weight"]
    wanted = dequantize(before["blk.2.attn_q.weight"][1], Q4) + change
    assert kind is Q8
    assert np.abs(dequantize(blocks, Q8) - wanted).max() < 0.08  # clipped extremes
    assert np.array_equal(after["blk.1.attn_norm.weight"][1], np.ones(WIDTH, np.float32))


def test_metadata_and_tokenizer_are_kept_and_the_layers_counted(
    tmp_path: Path, base: Path, delta: Path
) -> None:
    derive(base, delta, tmp_path / "student.gguf")
    fields = GGUFReader(tmp_path / "student.gguf").fields
    assert fields["llama.block_count"].contents() == 2
    assert fields["general.name"].contents() == "toy"
    assert fields["tokenizer.ggml.tokens"].contents()[3] == "token3"


def test_a_result_with_another_hash_is_not_left_behind(
    tmp_path: Path, base: Path, delta: Path
) -> None:
    with pytest.raises(WrongFile, match="expected 00"):
        derive(base, delta, tmp_path / "student.gguf", sha256="00")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.gguf", "delta.gguf"]


def test_a_missing_layer_is_named(tmp_path: Path, base: Path) -> None:
    path = tmp_path / "deeper.gguf"
    coded = {"blk.0.attn_q.weight": encode(random(WIDTH, WIDTH), bits=2, block=64)}
    save_delta(Delta((5,), coded, {}), path)
    with pytest.raises(WrongFile, match="no layer 5"):
        derive(base, path, tmp_path / "student.gguf")


def test_another_base_is_refused_before_anything_is_written(tmp_path: Path, base: Path) -> None:
    with pytest.raises(WrongFile, match=file_sha256(base)):
        derive_student(base, tmp_path / "student.gguf")
    assert not (tmp_path / "student.gguf").exists()
