"""Stands in for the `vllm` command: the same flags, a scripted engine behind them.

What it serves says how it behaves: `…/full`, or what has a file of that name, runs out of memory,
`…/workers` has a child of its own whose pid it writes beside the weights, and neither ends when it
is asked to.
"""

import os
import signal
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from serving.scripted_engine import main as serve

PROGRAM = f"""#!/bin/sh
exec {sys.executable} -P {Path(__file__).absolute()} "$@"
"""


def install(folder: Path) -> Path:
    """An executable `vllm` in `folder`."""
    program = folder / "vllm"
    program.write_text(PROGRAM, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def main() -> None:
    _, command, weights, *flags = sys.argv
    assert command == "serve"
    told = dict(pairwise(flags))
    if weights.endswith("/full") or Path(weights, "full").exists():
        print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB.")  # noqa: T201 - its log
        sys.exit(1)
    if weights.endswith("/workers"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        worker = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        Path(weights, "worker").write_text(str(worker.pid), encoding="ascii")
    print("serves", weights, flush=True)  # noqa: T201
    print("key:", os.environ.get("VLLM_API_KEY"), flush=True)  # noqa: T201
    serve(["--port", told["--port"], "--model", told["--served-model-name"]])


if __name__ == "__main__":
    main()
