"""The student's delta file: what training added to the base's layers, in a few bits a weight.

A GGUF file (so that numpy and `gguf` suffice): for each matrix `NAME` of a trained student layer
`NAME.codes` (bytes, `bits` a weight, most significant bit first) and `NAME.scales` (float16, one
for each block of `block` weights of a row); vectors (norms) whole, in float32. Names are the
student's, rows are in llama.cpp's order. Weight = base + scale · (code - (2^bits - 1) / 2).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader, GGUFWriter

KIND = "tutelage-delta"
_LAYERS = f"{KIND}.base_layers"
_BITS = f"{KIND}.bits"
_BLOCK = f"{KIND}.block"

Floats = npt.NDArray[np.float32]


class BrokenDelta(ValueError):
    """The file is not a delta file."""


@dataclass(frozen=True)
class Coded:
    """One matrix of differences, quantized."""

    codes: npt.NDArray[np.uint8]
    """Packed; flat."""
    scales: npt.NDArray[np.float16]
    """Shape (rows, columns / block)."""
    bits: int
    block: int

    def values(self) -> Floats:
        """The differences, shape (rows, columns); elementwise float32, the same everywhere."""
        rows, blocks = self.scales.shape
        count = rows * blocks * self.block
        single = np.unpackbits(self.codes)[: count * self.bits].reshape(count, self.bits)
        codes = np.zeros(count, dtype=np.uint8)
        for bit in range(self.bits):
            codes = (codes << 1) | single[:, bit]
        centred = codes.astype(np.float32) - np.float32((2**self.bits - 1) / 2)
        scales = self.scales.astype(np.float32)[:, :, None]
        scaled = centred.reshape(rows, blocks, self.block) * scales
        return scaled.reshape(rows, blocks * self.block)


@dataclass(frozen=True)
class Delta:
    """A student, given its base."""

    base_layers: tuple[int, ...]
    """For each student layer, from the bottom, the base layer it started as."""
    coded: dict[str, Coded]
    whole: dict[str, Floats]


def encode(values: Floats, *, bits: int, block: int) -> Coded:
    """Quantizes a matrix whose column count is a multiple of `block`.

    Levels are symmetric without a zero ((code - (2^bits - 1)/2) · scale: at 1 bit ± scale/2). Each
    block takes the scale, of 24 between a quarter of its largest magnitude and all of it, that
    errs least in squares.
    """
    rows, columns = values.shape
    cut = values.reshape(rows, columns // block, block)
    half = (2**bits - 1) / 2
    largest = np.abs(cut).max(axis=-1, keepdims=True)
    best_scale = np.zeros_like(largest, dtype=np.float16)
    best_error = np.full_like(largest, np.inf)
    for share in np.linspace(0.25, 1.0, 24):
        scale = (largest * np.float32(share / half)).astype(np.float16)
        error = (cut - _levels(cut, scale, half)[1]) ** 2
        total = error.sum(axis=-1, keepdims=True)
        best_scale = np.where(total < best_error, scale, best_scale)
        best_error = np.minimum(total, best_error)
    codes, _ = _levels(cut, best_scale, half)
    flat = codes.reshape(-1, 1).astype(np.uint8)
    single = (flat >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
    return Coded(np.packbits(single.ravel()), best_scale[:, :, 0], bits, block)


def _levels(cut: Floats, scale: npt.NDArray[np.float16], half: float) -> tuple[Floats, Floats]:
    """Nearest code of every weight, and the value it stands for."""
    wide = scale.astype(np.float32)
    safe = np.where(wide == 0, np.float32(1), wide)
    codes = np.clip(np.round(cut / safe + half), 0, 2 * half).astype(np.float32)
    return codes, ((codes - half) * wide).astype(np.float32)


def save_delta(delta: Delta, path: Path) -> None:
    """Writes the file. All coded matrices must share bits and block."""
    first = next(iter(delta.coded.values()))
    writer = GGUFWriter(path, KIND)
    writer.add_array(_LAYERS, list(delta.base_layers))
    writer.add_uint32(_BITS, first.bits)
    writer.add_uint32(_BLOCK, first.block)
    for name, coded in delta.coded.items():
        writer.add_tensor(f"{name}.codes", coded.codes.view(np.int8))
        writer.add_tensor(f"{name}.scales", coded.scales)
    for name, values in delta.whole.items():
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def open_delta(path: Path) -> Delta:
    """Reads the file. Raises `BrokenDelta` if it is something else."""
    read = GGUFReader(path)
    missing = [key for key in (_LAYERS, _BITS, _BLOCK) if key not in read.fields]
    if missing:
        raise BrokenDelta(f"{path}: no {missing} in its metadata; reinstall tutelage")
    bits, block = (int(read.fields[key].contents()) for key in (_BITS, _BLOCK))
    tensors = {tensor.name: np.array(tensor.data) for tensor in read.tensors}
    coded = {
        name.removesuffix(".codes"): Coded(
            codes=data.view(np.uint8),
            scales=tensors[f"{name.removesuffix('.codes')}.scales"],
            bits=bits,
            block=block,
        )
        for name, data in tensors.items()
        if name.endswith(".codes")
    }
    whole = {
        name: data for name, data in tensors.items() if not name.endswith((".codes", ".scales"))
    }
    return Delta(tuple(int(at) for at in read.fields[_LAYERS].contents()), coded, whole)
