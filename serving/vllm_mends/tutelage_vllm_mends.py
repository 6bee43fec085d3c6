"""Mends vLLM 0.32 in its own processes, as a plugin that vLLM itself finds and loads.

Read by vLLM's Python, not by ours: `serving.vllm_command` puts this folder on the PYTHONPATH of an
engine that speculates on a CPU.
"""

import torch


def mend() -> None:
    """Called by vLLM in each of its processes, before it looks its kernels up."""
    from vllm.utils import cpu_triton_utils  # noqa: PLC0415 - the plugin is loaded amid its import

    cpu_triton_utils._expand_kernel_impl = expand  # noqa: SLF001 - there is no public name


def expand(  # noqa: PLR0917 - called by place
    output: torch.Tensor,
    input_val: torch.Tensor,
    cu_num_tokens: torch.Tensor,
    replace_from: int,
    replace_to: int,
    MAX_NUM_TOKENS: int | None = None,  # noqa: ARG001, N803 - the kernel's own name for it
) -> None:
    """A request's value, for each of its drafted tokens, into `output`.

    vLLM's own writes into a copy where the types differ, and throws that away: the temperatures
    and limits that drafts are judged by are then whatever lay in memory.
    """
    each = torch.diff(cu_num_tokens, prepend=cu_num_tokens.new_zeros(1))
    value = torch.where(input_val == replace_from, replace_to, input_val)
    found = torch.repeat_interleave(value, each)
    output[: found.numel()].copy_(found)
