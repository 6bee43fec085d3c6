"""What vLLM has to know of a LoRA folder before it starts: its rank."""

import json
from pathlib import Path
from typing import get_args

from serving.errors import BadConfig
from serving.vllm_spec import Lora

RANKS: tuple[int, ...] = get_args(Lora.model_fields["max_rank"].annotation)
"""Those that vLLM can be started for."""


def rank_for(adapter: Path, *, at_least: int) -> int:
    """The least of vLLM's ranks that has room for it. Raises `BadConfig`."""
    path = adapter / "adapter_config.json"
    try:
        rank = int(json.loads(path.read_bytes())["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfig(str(path), f"r: the adapter's rank cannot be read: {error!r}") from error
    for each in RANKS:
        if each >= max(rank, at_least):
            return each
    raise BadConfig(str(path), f"r: {rank} is more than vLLM's {RANKS[-1]}")
