"""vLLM's spec to its command line and environment."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from serving.errors import BadConfig
from serving.vllm_spec import DraftModel, Lora, Ngram, Speculation, VllmSpec, is_path

MENDS = Path(__file__).with_name("vllm_mends")
"""A plugin that vLLM finds where this is on its path; see there."""


def vllm_argv(spec: VllmSpec) -> tuple[str, ...]:
    """`vllm serve …`; secrets travel in the environment, where `ps` does not show them."""
    return (spec.executable, "serve", spec.weights, *_flags(spec), *spec.extra_args)


def vllm_env(spec: VllmSpec, env: Mapping[str, str], *, cores: int) -> dict[str, str]:
    """`env` and what the spec wants there. Raises `BadConfig` when its key is not in `env`."""
    wanted = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if is_path(spec.weights):
        wanted["HF_HUB_OFFLINE"] = "1"
    if spec.store_responses:
        wanted["VLLM_ENABLE_RESPONSES_API_STORE"] = "1"
    if spec.lora and spec.lora.hot_load:
        wanted["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    if spec.device == "cpu":
        # Bound threads would put every engine of this machine on the same first cores.
        wanted["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        if spec.kv_cache_gib:
            wanted["VLLM_CPU_KVCACHE_SPACE"] = str(spec.kv_cache_gib)
        wanted["OMP_NUM_THREADS"] = str(spec.threads or cores)
        if spec.speculate:
            paths = (str(MENDS), spec.env.get("PYTHONPATH") or env.get("PYTHONPATH"))
            return {**env, **wanted, **spec.env, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if (key := vllm_key(spec, env)) is not None:
        wanted["VLLM_API_KEY"] = key
    return {**env, **wanted, **spec.env}


def vllm_key(spec: VllmSpec, env: Mapping[str, str]) -> str | None:
    """The engine's own API key, if it has one. Raises `BadConfig` when it is not in `env`."""
    if spec.api_key is None:
        return None
    if not (key := env.get(spec.api_key.env)):
        raise BadConfig(
            f"[engines.{spec.name}]", f"api_key: the variable {spec.api_key.env} is not set"
        )
    return key


def _flags(spec: VllmSpec) -> Iterator[str]:
    yield from ("--served-model-name", spec.model)
    yield from ("--host", spec.host, "--port", str(spec.port))
    for flag, value in _values(spec).items():
        if value is not None:
            yield from (flag, str(value))
    for flag, on in _switches(spec).items():
        if on is not None:
            yield flag if on else flag.replace("--enable-", "--no-enable-")
    if spec.lora:
        yield from _lora(spec.lora)


def _values(spec: VllmSpec) -> dict[str, str | float | None]:
    """By flag; None leaves it out."""
    counted = spec.per_request_metrics and spec.speculate
    return {
        "--dtype": spec.dtype,
        "--quantization": spec.quantization,
        "--max-model-len": spec.context_tokens,
        "--max-num-seqs": spec.slots,
        "--gpu-memory-utilization": spec.memory_share,
        "--tensor-parallel-size": _several(spec.tensor_parallel),
        "--pipeline-parallel-size": _several(spec.pipeline_parallel),
        "--data-parallel-size": _several(spec.data_parallel),
        "--tool-call-parser": spec.tool_parser,
        "--reasoning-parser": spec.reasoning_parser,
        "--scheduling-policy": spec.scheduling,
        "--max-logprobs": spec.max_logprobs,
        "--speculative-config": _speculation(spec.speculate) if spec.speculate else None,
        "--per-request-spec-decode-metrics": "summary" if counted else None,
        "--shutdown-timeout": spec.drain_s,
    }


def _switches(spec: VllmSpec) -> dict[str, bool | None]:
    """By flag; None leaves it to vLLM."""
    return {
        "--enable-prefix-caching": spec.prefix_caching,
        "--enable-chunked-prefill": spec.chunked_prefill,
        "--enable-auto-tool-choice": True if spec.tool_parser else None,
        "--enable-per-request-metrics": spec.per_request_metrics or None,
        "--enforce-eager": spec.eager or None,
        "--disable-uvicorn-access-log": True,  # a line a request: the log would never stop
    }


def _lora(lora: Lora) -> Iterator[str]:
    yield from ("--enable-lora", "--max-loras", str(lora.at_once))
    yield from ("--max-lora-rank", str(lora.max_rank))
    if lora.adapters:
        yield from ("--lora-modules", *(f"{a.name}={a.path}" for a in lora.adapters))


def _several(count: int) -> int | None:
    return count if count > 1 else None


def _speculation(how: Speculation) -> str:
    told: dict[str, str | int] = {"method": how.method}
    if isinstance(how, DraftModel):
        told["model"] = how.weights
    if how.tokens is not None:
        told["num_speculative_tokens"] = how.tokens
    if isinstance(how, Ngram):
        if how.lookup_min is not None:
            told["prompt_lookup_min"] = how.lookup_min
        if how.lookup_max is not None:
            told["prompt_lookup_max"] = how.lookup_max
    return json.dumps(told)
