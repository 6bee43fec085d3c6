"""Makes the student's GGUF on the user's machine: base file + shipped delta, nothing twice.

The delta file holds, for each trained layer, the difference to the base's layer in a few bits a
weight; everything else of the student is bytes of the base file. All arithmetic is elementwise in
float32, so every machine gets the same bytes.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, ReaderTensor
from gguf.quants import dequantize, quantize

from serving.triage.delta import Delta, open_delta

ARCHITECTURE = "llama"


class WrongFile(ValueError):
    """A file is not the one that the delta or the manifest belongs to."""


def derive(base: Path, delta_file: Path, out: Path) -> str:
    """Writes the student to `out`, whole or not at all; returns its `tensors_sha256`.

    Needs about twice the student's size in memory and some seconds. Raises `WrongFile` if `base`
    lacks a layer that the delta names, and what the file system raises.
    """
    delta = open_delta(delta_file)
    read = GGUFReader(base)
    tensors = {tensor.name: tensor for tensor in read.tensors}
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    writer = GGUFWriter(partial, ARCHITECTURE)
    try:
        _copy_metadata(read, writer, layers=len(delta.base_layers))
        _copy(writer, tensors, "token_embd.weight", "token_embd.weight", base)
        for at, base_layer in enumerate(delta.base_layers):
            prefix = f"blk.{base_layer}."
            names = [name for name in tensors if name.startswith(prefix)]
            if not names:
                raise WrongFile(f"{base}: no layer {base_layer}; the delta {delta_file} needs it")
            for name in names:
                _layer_tensor(writer, tensors[name], f"blk.{at}.{name[len(prefix) :]}", delta)
        if "output_norm.weight" in delta.whole:
            writer.add_tensor("output_norm.weight", delta.whole["output_norm.weight"])
        else:
            _copy(writer, tensors, "output_norm.weight", "output_norm.weight", base)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        digest = tensors_sha256(partial)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return digest


def tensors_sha256(gguf_file: Path) -> str:
    """Hash over every tensor's name, type, shape and bytes.

    Unlike the file's hash it does not depend on how a version of the `gguf` package lays out
    metadata.
    """
    seen = hashlib.sha256()
    for tensor in GGUFReader(gguf_file).tensors:
        shape = [int(size) for size in tensor.shape]
        seen.update(f"{tensor.name} {tensor.tensor_type.name} {shape}\n".encode())
        seen.update(np.ascontiguousarray(tensor.data).tobytes())
    return seen.hexdigest()


def _layer_tensor(writer: GGUFWriter, base: ReaderTensor, name: str, delta: Delta) -> None:
    """A trained matrix becomes Q8_0: on the base's own 4-bit grid a fine-tune of 1-2 % vanishes."""
    if name in delta.whole:
        writer.add_tensor(name, delta.whole[name])
    elif name in delta.coded:
        plain = dequantize(base.data, base.tensor_type).astype(np.float32)
        blocks = quantize(plain + delta.coded[name].values(), GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, blocks, raw_dtype=GGMLQuantizationType.Q8_0)
    else:
        writer.add_tensor(name, base.data, raw_dtype=base.tensor_type)


def _copy(
    writer: GGUFWriter, tensors: dict[str, ReaderTensor], source: str, name: str, base: Path
) -> None:
    if source not in tensors:
        raise WrongFile(f"{base}: no tensor {source}; it must be a whole model")
    tensor = tensors[source]
    writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)


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
