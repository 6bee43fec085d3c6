import json
import sys
from pathlib import Path

import pytest

from serving.command import engine_command, usable_cores
from serving.llamacpp_spec import LlamaCppSpec, LoraAdapter

SPEC = LlamaCppSpec(
    name="teacher",
    gguf=Path("/models/base.gguf"),
    adapters=(LoraAdapter(path=Path("/models/lora.gguf")),),
    port=8102,
    model="triage-teacher",
)


def test_the_command_of_an_engine_is_its_whole_spec() -> None:
    command = engine_command(SPEC, env={"HOME": "/home/me"}, cores=2)

    *program, spec = command.argv
    assert program == [sys.executable, "-P", "-m", "serving.llamacpp", "--spec"]
    assert json.loads(spec) == {
        "name": "teacher",
        "kind": "llamacpp",
        "gguf": "/models/base.gguf",
        "adapters": [{"path": "/models/lora.gguf", "scale": 1.0}],
        "host": "127.0.0.1",
        "port": 8102,
        "model": "triage-teacher",
        "context_tokens": 2048,
        "slots": 4,
        "threads": 2,
        "prompt_cache_mib": 0,
    }
    assert command.env == {"HOME": "/home/me", "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (4, 4), (64, 8)])
def test_threads_follow_the_cores_up_to_where_a_small_model_gains(cores: int, threads: int) -> None:
    *_, spec = engine_command(SPEC, env={}, cores=cores).argv
    assert json.loads(spec)["threads"] == threads


def test_threads_that_the_spec_names_are_kept() -> None:
    named = SPEC.model_copy(update={"threads": 12})
    *_, spec = engine_command(named, env={}, cores=2).argv
    assert json.loads(spec)["threads"] == 12


@pytest.mark.parametrize(
    ("cpu_max", "most"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", 10_000)]
)
def test_a_containers_cpu_quota_cuts_the_cores(tmp_path: Path, cpu_max: str, most: int) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(cpu_max)
    assert 1 <= usable_cores(quota) <= most


def test_without_a_quota_file_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "none") >= 1
