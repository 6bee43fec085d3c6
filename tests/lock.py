"""The lock: constraints.txt, one tested version of everything that any extra brings.

`make lock` resolves it anew from pyproject.toml, keeping the pins that still fit;
`make lock ARGS=--upgrade` moves all of them. CUDA's own packages are left out: torch pins those
itself, and a machine without a GPU has no use for them. So are extras that want an environment of
their own.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from venv import EnvBuilder

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCK_FILE = ROOT / "constraints.txt"
PYPROJECT = ROOT / "pyproject.toml"
PROJECT = "tutelage (pyproject.toml)"
"""How the resolver names this project as the reason for a pin."""
CUDA = re.compile(r"(nvidia|cuda)-|triton=")
RESOLVER = "uv"

OWN_ENVIRONMENT = {
    "vllm": "vLLM holds FastAPI back (0.33.0 to 0.136; we test with 0.165) and pins its own torch: "
    "one lock for both would be the older of the two. Nothing of ours is tested where it runs.",
}
"""Extras that the lock leaves out, and why."""

HEADER = """\
# Every version that this project is tested with, for Python 3.11 and newer. Made by `make lock`.
# Constraints for pip: pyproject.toml says what is installed, this file says in which version.
"""


@dataclass(frozen=True)
class Pin:
    """One line of the lock."""

    name: str
    version: Version
    marker: Marker | None
    """Where the pin applies; None is everywhere."""
    wanted_by: frozenset[str]
    """The packages that brought it in, or PROJECT."""

    @classmethod
    def parse(cls, line: str) -> "Pin":
        requirement, _, reason = line.partition("# via ")
        parsed = Requirement(requirement)
        (specifier,) = parsed.specifier
        if specifier.operator != "==" or specifier.version.endswith("*"):
            raise ValueError(f"{line!r}: a lock holds exact versions (==) only")
        return cls(
            name=canonicalize_name(parsed.name),
            version=Version(specifier.version),
            marker=parsed.marker,
            wanted_by=frozenset(reason.strip().split(", ")),
        )


def read(lock_file: Path = LOCK_FILE) -> list[Pin]:
    lines = lock_file.read_text(encoding="utf-8").splitlines()
    return [Pin.parse(line) for line in lines if line and not line.startswith("#")]


def requirements(pyproject: Path = PYPROJECT) -> dict[str, list[Requirement]]:
    """What pyproject.toml asks for, by locked extra; the core stands under the empty name."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    locked = {extra: lines for extra, lines in asked.items() if extra not in OWN_ENVIRONMENT}
    return {extra: [Requirement(line) for line in lines] for extra, lines in locked.items()}


def resolve(*, upgrade: bool) -> str:
    """The text of a fresh lock. The resolver lives in a throw-away environment, not in ours."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        EnvBuilder(with_pip=True).create(home / "venv")
        commands = home / "venv" / "bin"
        install = ["-m", "pip", "install", "--quiet", RESOLVER]
        subprocess.run([commands / "python", *install], check=True)
        draft = home / LOCK_FILE.name
        if LOCK_FILE.exists():
            draft.write_bytes(LOCK_FILE.read_bytes())  # what stands there is what it prefers
        subprocess.run(
            [
                commands / RESOLVER,
                *("pip", "compile", PYPROJECT.name, "--output-file", draft),
                *(part for extra in requirements() if extra for part in ("--extra", extra)),
                *("--universal", "--python-version", "3.11"),
                *("--quiet", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
                *("--annotation-style", "line"),
                *(["--upgrade"] if upgrade else []),
            ],
            cwd=ROOT,
            check=True,
        )
        lines = draft.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("#") and not CUDA.match(line)]
    return HEADER + "\n".join(kept) + "\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write constraints.txt")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    asked = parser.parse_args(argv)
    text = resolve(upgrade=asked.upgrade)
    if asked.write:
        LOCK_FILE.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
