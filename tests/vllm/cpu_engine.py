"""How a vLLM is started for tests: on CPUs, eager, small, with all that the contracts ask for."""

import os
from pathlib import Path

from serving.command import usable_cores
from serving.engine import Engine
from serving.home import Home
from serving.vllm_spec import VllmSpec


def cpu_engine(name: str, weights: Path, folder: Path, *, model: str, beside: int = 0) -> Engine:
    """folder: the vLLM environment. beside: how many others share the cores. Not started yet."""
    cores = max(1, usable_cores() // (1 + beside))
    spec = VllmSpec(
        name=name,
        kind="vllm",
        weights=str(weights),
        executable=str(Path(folder, "bin", "vllm").absolute()),
        model=model,
        device="cpu",
        kv_cache_gib=1,
        dtype="bfloat16",
        context_tokens=2048,
        tool_parser="hermes",
        store_responses=True,
        per_request_metrics=True,
        eager=True,
        drain_s=0,
        ready_within_s=900.0,
    )
    return Engine(spec, logs=Home.of(os.environ).logs, env=os.environ, cores=cores)
