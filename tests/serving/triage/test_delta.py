"""The delta's coding: how far off it may be, and that the file gives back what was put in."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf")

from gguf import GGUFWriter

from serving.triage.delta import BrokenDelta, Delta, encode, open_delta, save_delta


def noise(rows: int = 48, columns: int = 128) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.01, (rows, columns)).astype(np.float32)


@pytest.mark.parametrize(("bits", "bound"), [(1, 0.62), (2, 0.36), (3, 0.19), (4, 0.11), (8, 0.01)])
def test_more_bits_err_less_and_stay_under_their_bound(bits: int, bound: float) -> None:
    values = noise()
    error = encode(values, bits=bits, block=64).values() - values
    assert np.linalg.norm(error) / np.linalg.norm(values) < bound


def test_every_weight_is_within_half_a_step_unless_it_was_clipped() -> None:
    values = noise()
    coded = encode(values, bits=4, block=64)
    step = coded.scales.astype(np.float32).repeat(64, axis=1)
    inside = np.abs(values) <= 7.5 * step
    error = np.abs(coded.values() - values)
    assert inside.mean() > 0.97
    assert (error[inside] <= step[inside] * 0.5001).all()


def test_nothing_stays_nothing() -> None:
    zeros = np.zeros((2, 64), dtype=np.float32)
    assert not encode(zeros, bits=3, block=64).values().any()


def test_a_file_gives_back_what_was_put_in(tmp_path: Path) -> None:
    coded = encode(noise(), bits=3, block=64)
    norm = np.linspace(0, 1, 7, dtype=np.float32)
    path = tmp_path / "delta.gguf"
    save_delta(Delta((0, 2), {"blk.1.attn_q.weight": coded}, {"output_norm.weight": norm}), path)
    read = open_delta(path)
    assert read.base_layers == (0, 2)
    assert np.array_equal(read.coded["blk.1.attn_q.weight"].values(), coded.values())
    assert np.array_equal(read.whole["output_norm.weight"], norm)


def test_another_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tensor("x", np.zeros(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(BrokenDelta, match=r"other\.gguf"):
        open_delta(path)
