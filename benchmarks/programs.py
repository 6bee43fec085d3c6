"""The two C programs of the bench: compiled when their source changed, kept in the cache."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")


class NoCompiler(Exception):
    """There is no C compiler, or it refused; the message says how to go on."""


def compiled(name: str, cache: Path) -> Path:
    """The program made of `NAME.c` beside this file. Raises NoCompiler."""
    sources = [HERE / f"{name}.c", *sorted(HERE.glob("*.h"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    program = cache / f"{name}-{digest}"
    if program.exists():
        return program
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise NoCompiler("no C compiler: apt-get install gcc, or set CC")
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cache / f"unfinished-{os.getpid()}"
    made = subprocess.run(
        [compiler, *FLAGS, "-o", unfinished, sources[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise NoCompiler(f"{compiler} refused {sources[0].name}:\n{made.stderr}")
    unfinished.replace(program)
    return program
