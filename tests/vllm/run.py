"""`make test-vllm`: a real vLLM is started, the tests that want one run against it, it is ended.

    python -m tests.vllm.run FOLDER [PYTEST ARGUMENTS]

It ends by itself whatever happens: the engine must be ready in time, the tests must be done in
time, and the engine's whole process group goes with this process.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.errors import ServingError
from serving.home import Home
from tests.vllm.cpu_engine import cpu_engine
from tests.vllm.environment import MODEL
from tests.vllm.test_real_parser import PYTHON

TESTS_WITHIN_S = 1800.0
TEST_WITHIN_S = "600"
TESTS = ("tests/contracts", "tests/vllm")


def main(arguments: Sequence[str]) -> int:
    folder, *pytest = arguments
    weights = Home.of(os.environ).models / MODEL
    engine = cpu_engine("test-vllm", weights, Path(folder), model="smol")
    try:
        took_s = engine.start()
        _say(f"ready in {took_s:.0f} s; log: {engine.log}")
        python = Path(folder, "bin", "python").absolute()
        return _test(engine.spec.base_url, python, pytest)
    except ServingError as error:
        _say(f"error: {error}")
        return 1
    finally:
        engine.stop()


def _test(url: str, python: Path, arguments: Sequence[str]) -> int:
    command = [
        *(sys.executable, "-m", "pytest", *TESTS, "-k", "vllm", "--timeout", TEST_WITHIN_S),
        *("--durations", "5", *arguments),
    ]
    env = {**os.environ, "TUTELAGE_TEST_VLLM_URL": url, PYTHON: str(python)}
    try:
        return subprocess.run(command, env=env, check=False, timeout=TESTS_WITHIN_S).returncode
    except subprocess.TimeoutExpired:
        _say(f"error: the tests were not done after {TESTS_WITHIN_S:g} s")
        return 1


def _say(line: str) -> None:
    print(f"[vllm] {line}", flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
