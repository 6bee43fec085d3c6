"""A GGUF as a bf16 safetensors folder with its tokenizer. Runs in the vLLM environment.

    python tests/vllm/convert.py MODEL.gguf FOLDER [--adapter LORA.gguf] [--layers 0,1,5]

transformers reads the GGUF but will not save what it read as quantized: the weights move into a
model made from the same config without that note. An adapter is merged into them; of `layers` only
those stay, in this order, and nothing is trained after.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill.gguf_export import RoPEHeads
from distill.gguf_import import read_lora


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--layers", type=lambda text: [int(each) for each in text.split(",")])
    asked = parser.parse_args()
    gguf: Path = asked.gguf
    read = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    described = read.config.to_dict()
    described.pop("quantization_config", None)
    weights = read.state_dict()
    if asked.adapter is not None:
        merge(weights, asked.adapter, read.config)
    if asked.layers is not None:
        weights = kept(weights, asked.layers)
        described |= {"num_hidden_layers": len(asked.layers), "layer_types": None}
    model = type(read)(type(read.config)(**described))
    model.load_state_dict(weights)
    model.to(torch.bfloat16).save_pretrained(asked.target)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.save_pretrained(asked.target)


def merge(weights: dict[str, Any], adapter: Path, config: Any) -> None:
    """Adds `alpha / rank · B · A` to each weight that the adapter is about."""
    heads = RoPEHeads(config.num_attention_heads, config.num_key_value_heads)
    lora = read_lora(adapter, heads)
    alpha = float(GGUFReader(adapter).fields["adapter.lora.alpha"].contents())
    for name, rows in lora.items():
        if name.endswith(".lora_A.weight"):
            low = torch.from_numpy(rows)
            high = torch.from_numpy(lora[name.replace(".lora_A.", ".lora_B.")])
            own = name.removeprefix("base_model.model.").replace(".lora_A.", ".")
            weights[own] += alpha / low.shape[0] * (high @ low)


def kept(weights: dict[str, Any], layers: Sequence[int]) -> dict[str, Any]:
    """The weights without the other layers, those that stay numbered anew."""
    named = {f"model.layers.{old}.": f"model.layers.{new}." for new, old in enumerate(layers)}
    found = {}
    for name, weight in weights.items():
        if not name.startswith("model.layers."):
            found[name] = weight
            continue
        layer = ".".join(name.split(".")[:3]) + "."
        if layer in named:
            found[named[layer] + name.removeprefix(layer)] = weight
    return found


if __name__ == "__main__":
    main()
