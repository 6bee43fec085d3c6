"""`make vllm` with a Python and a pip that only note what they were asked."""

import stat
from pathlib import Path

import pytest

from tests.vllm.environment import (
    MISFITS,
    TORCH_CPU_INDEX,
    CannotMake,
    make_environment,
    make_model,
)

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0") $* [$PIP_EXTRA_INDEX_URL]" >> "$here/journal"
{behaviour}
"""
NO_TORCH_NEARBY = """
case "$*$PIP_EXTRA_INDEX_URL" in
  *pytorch*) ;;
  *install\\ --quiet\\ --req*) echo "No matching distribution found for torch==2.13.0+cpu"; exit 1;;
esac
"""


def made_of_scripts(folder: Path, behaviour: str = "") -> Path:
    """An environment whose programs write down how they were called."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "vllm"):
        program = programs / name
        program.write_text(SCRIPT.format(behaviour=behaviour))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def journal(folder: Path) -> list[str]:
    text = (folder / "bin" / "journal").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith(("python", "vllm"))]


def test_vllm_is_installed_mended_and_asked_for_its_version(tmp_path: Path) -> None:
    folder = made_of_scripts(tmp_path / "env")

    make_environment(folder, env={})

    install, uninstall, metadata, version = journal(folder)
    assert "-m pip --disable-pip-version-check install" in install
    assert uninstall.endswith(f"uninstall --quiet --yes {' '.join(MISFITS)} []")
    assert metadata.startswith("python -c")
    assert version == "vllm --version []"


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = made_of_scripts(tmp_path / "env")

    make_environment(folder, env={})
    once = journal(folder)
    make_environment(folder, env={})

    assert journal(folder) == once


def test_what_was_made_by_an_older_recipe_is_made_again(tmp_path: Path) -> None:
    folder = made_of_scripts(tmp_path / "env")
    (folder / ".made").write_text("another recipe")

    make_environment(folder, env={})

    assert len(journal(folder)) == 4


def test_pytorchs_own_index_is_asked_only_where_pip_finds_no_torch(tmp_path: Path) -> None:
    folder = made_of_scripts(tmp_path / "env", NO_TORCH_NEARBY)

    make_environment(folder, env={"PIP_EXTRA_INDEX_URL": "https://mirror.example/simple"})

    installs = [line for line in journal(folder) if " install " in line]
    assert installs[0].endswith("[https://mirror.example/simple]")
    assert installs[1].endswith(f"[https://mirror.example/simple {TORCH_CPU_INDEX}]")


def test_what_pip_says_last_is_told_and_the_next_time_tries_again(tmp_path: Path) -> None:
    folder = made_of_scripts(tmp_path / "env", "echo 'no space left on device'; exit 1")

    for _ in range(2):
        with pytest.raises(CannotMake, match="no space left on device"):
            make_environment(folder, env={})


def test_a_model_that_cannot_be_converted_leaves_nothing(tmp_path: Path) -> None:
    folder = made_of_scripts(tmp_path / "env", "echo 'not a GGUF'; exit 1")
    gguf = tmp_path / "models" / "small.gguf"
    gguf.parent.mkdir()
    gguf.write_bytes(b"GGUF")

    with pytest.raises(CannotMake, match="not a GGUF"):
        make_model(folder, gguf, gguf.with_name("small-bf16"))

    assert [path.name for path in gguf.parent.iterdir()] == ["small.gguf"]


def test_a_missing_gguf_is_named_with_the_way_to_it(tmp_path: Path) -> None:
    with pytest.raises(CannotMake, match=r"small\.gguf is not there; fetch it"):
        make_model(tmp_path, tmp_path / "small.gguf", tmp_path / "small")


def test_a_model_that_is_there_is_used(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()

    assert make_model(tmp_path, tmp_path / "none.gguf", tmp_path / "small") == tmp_path / "small"
