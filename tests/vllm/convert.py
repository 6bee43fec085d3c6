"""A GGUF as a bf16 safetensors folder with its tokenizer. Runs in the vLLM environment alone.

    python convert.py MODEL.gguf FOLDER

transformers reads the GGUF but will not save what it read as quantized: the weights move into a
model made from the same config without that note.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(gguf: Path, target: Path) -> None:
    read = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    described = read.config.to_dict()
    described.pop("quantization_config", None)
    model = type(read)(type(read.config)(**described))
    model.load_state_dict(read.state_dict())
    model.to(torch.bfloat16).save_pretrained(target)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
