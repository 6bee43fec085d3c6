"""Why an engine ended, in words: what its log says, translated, with the way out."""

import re
from collections.abc import Mapping
from typing import Final

_KILLED: Final = 128 + 9

CAUSES: Final[Mapping[str, str]] = {
    r"CUDA out of memory|OutOfMemoryError|HIP out of memory": (
        "the GPU ran out of memory; lower memory_share, context_tokens or slots, "
        "quantize the weights, or spread them with tensor_parallel"
    ),
    r"Free memory on device .* is less than desired": (
        "something else holds the GPU's memory already; lower memory_share, or end it"
    ),
    r"No available memory for the cache blocks|KV cache is needed, which is larger than": (
        "no memory is left for the context after the weights; "
        "raise memory_share (kv_cache_gib on a CPU) or lower context_tokens"
    ),
    r"MemoryError|std::bad_alloc|[Cc]annot allocate memory|DefaultCPUAllocator": (
        "the machine's memory is full; lower kv_cache_gib, context_tokens or slots, "
        "or start fewer engines"
    ),
    r"[Aa]ddress already in use": (
        "its port was taken while it loaded; set another port, or end what listens there"
    ),
    r"unrecognized arguments|error: argument ": (
        "this vLLM does not know a flag that we gave it: it is another version than the one "
        "whose flags are recorded in serving/vllm_flags.json"
    ),
    r"\[Errno 28\]|No space left on device": "the disk is full",
    r"is greater than the derived max_model_len": (
        "the model's own context is shorter than context_tokens; lower it"
    ),
    r"invalid choice: .*tool.call.parser|invalid tool call parser": "no such tool_parser",
    r"not a valid model identifier|RepositoryNotFound|LocalEntryNotFoundError|GatedRepoError": (
        "the model hub does not give us these weights; check the name, the network and HF_TOKEN"
    ),
    r"does not appear to have a file named config\.json|Invalid repository ID": (
        "the weights' folder holds no model that vLLM reads (a config.json and safetensors)"
    ),
    r"Failed to infer device type|no CUDA-capable device|Found no NVIDIA driver": (
        "this build of vLLM finds no device that it can use; "
        'on a CPU it wants the CPU build, and device = "cpu"'
    ),
    r"operator torchvision::nms does not exist": (
        "torchvision does not fit torch; on a CPU, uninstall torchvision (make vllm does)"
    ),
    r"ModuleNotFoundError: No module named 'vllm'": (
        "its environment has no vLLM; `executable` names another one than was meant"
    ),
}
"""What a log may hold, and what it means; the first that fits is told."""


def cause_of_end(status: int, log: str) -> str | None:
    """`status` as `serving.lifeline` gives it. None when there is nothing to add to it."""
    for pattern, meaning in CAUSES.items():
        if re.search(pattern, log):
            return meaning
    if status == _KILLED:
        return "not by us: most often the kernel does it, when memory is full; dmesg tells"
    return None
