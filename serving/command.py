"""Spec to command line: what is executed for an engine, and in which environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.llamacpp_spec import LlamaCppSpec
from serving.spec import EngineSpec
from serving.vllm_command import vllm_argv, vllm_env
from serving.vllm_spec import VllmSpec

MOST_USEFUL_THREADS = 8
"""Small models stop gaining here: a token is a few megabytes of weights, then a barrier."""

CPU_QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Command:
    """Ready for exec."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def engine_command(spec: EngineSpec, *, env: Mapping[str, str], cores: int) -> Command:
    """The child process of `spec`; its threads settled, so that a log shows what ran.

    `cores`: what it may keep busy; sharing them among engines is the caller's business.
    Raises `BadConfig` when a secret that it needs is not in `env`.
    """
    if isinstance(spec, VllmSpec):
        return Command(argv=vllm_argv(spec), env=vllm_env(spec, env, cores=cores))
    return _llamacpp(spec, env=env, cores=cores)


def _llamacpp(spec: LlamaCppSpec, *, env: Mapping[str, str], cores: int) -> Command:
    threads = spec.threads or min(cores, MOST_USEFUL_THREADS)
    settled = spec.model_copy(update={"threads": threads})
    return Command(
        argv=(
            *(sys.executable, "-P", "-m", "serving.llamacpp"),
            *("--spec", settled.model_dump_json()),
        ),
        env={**env, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
    )


def usable_cores(quota_file: Path = CPU_QUOTA_FILE) -> int:
    """Cores this process may really use: its affinity, cut by the container's CPU quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    if quota == "max":
        return cores
    return max(1, min(cores, int(quota) // int(period)))
