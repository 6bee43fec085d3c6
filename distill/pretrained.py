"""The base model as PyTorch: SmolLM2 read from the GGUF file that the engines serve."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM


def unpacked(base_gguf: Path, folder: Path) -> Path:
    """The base as a transformers folder, made once (half a minute).

    Weights are what the file's 4-bit blocks stand for, in float32: training sees the model that
    is served, not the one it was quantized from.
    """
    if (folder / "model.safetensors").exists():
        return folder
    where, name = str(base_gguf.parent), base_gguf.name
    read = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    settings = read.config.to_dict()
    settings.pop("quantization_config", None)  # save_pretrained refuses a "quantized" model
    plain = LlamaForCausalLM(LlamaConfig(**settings))
    plain.load_state_dict(read.state_dict())
    AutoTokenizer.from_pretrained(where, gguf_file=name).save_pretrained(folder)
    plain.save_pretrained(folder)
    return folder


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers is untyped here
    """The base's tokenizer, chat template included."""
    return AutoTokenizer.from_pretrained(folder)


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> Any:  # noqa: ANN401
    """The base, with eager attention: on rows of 50 tokens the fused kernels only add overhead."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
