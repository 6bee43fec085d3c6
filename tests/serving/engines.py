"""What engine tests run on: the fetched base, and a small adapter that visibly bends it."""

from pathlib import Path

import gguf
import numpy as np

RANK = 4


def write_lora(base: Path, out: Path) -> None:
    """A random rank-4 LoRA on every value projection of `base`: another model, the same size."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(2 * RANK))
    for tensor in gguf.GGUFReader(base).tensors:
        if not tensor.name.endswith("attn_v.weight"):
            continue
        width_in, width_out = (int(size) for size in tensor.shape)
        down = rng.normal(0, 0.05, (RANK, width_in)).astype(np.float32)
        up = rng.normal(0, 0.05, (width_out, RANK)).astype(np.float32)
        writer.add_tensor(f"{tensor.name}.lora_a", down)
        writer.add_tensor(f"{tensor.name}.lora_b", up)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
