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

import httpx

from serving.errors import ServingError
from serving.home import Home
from serving.ports import pick_free_port
from serving.process import Process
from tests.vllm.environment import MODEL

SERVED_AS = "smol"
READY_WITHIN_S = 600.0
TESTS_WITHIN_S = 1800.0
TEST_WITHIN_S = "600"
TESTS = ("tests/contracts", "tests/vllm")


def main(arguments: Sequence[str]) -> int:
    folder, *pytest = arguments
    home = Home.of(os.environ)
    port = pick_free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}/v1"
    engine = Process(
        "vLLM",
        (
            *(str(Path(folder, "bin", "vllm").absolute()), "serve", str(home.models / MODEL)),
            *("--served-model-name", SERVED_AS, "--host", "127.0.0.1", "--port", str(port)),
            *("--dtype", "bfloat16", "--max-model-len", "2048", "--enforce-eager"),
            *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
        ),
        env={
            **os.environ,
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_ENABLE_RESPONSES_API_STORE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        },
        log=home.logs / "test-vllm.log",
    )
    try:
        engine.start()
        took_s = engine.wait_ready(lambda: _answers(url), timeout_s=READY_WITHIN_S)
        _say(f"ready in {took_s:.0f} s; log: {engine.log}")
        return _test(url, pytest)
    except ServingError as error:
        _say(f"error: {error}")
        return 1
    finally:
        engine.stop()


def _test(url: str, arguments: Sequence[str]) -> int:
    command = [
        *(sys.executable, "-m", "pytest", *TESTS, "-k", "vllm", "--timeout", TEST_WITHIN_S),
        *("--durations", "5", *arguments),
    ]
    env = {**os.environ, "TUTELAGE_TEST_VLLM_URL": url}
    try:
        return subprocess.run(command, env=env, check=False, timeout=TESTS_WITHIN_S).returncode
    except subprocess.TimeoutExpired:
        _say(f"error: the tests were not done after {TESTS_WITHIN_S:g} s")
        return 1


def _answers(url: str) -> bool:
    """One real completion: the first one is the slow one, and no test should pay for it."""
    body = {"model": SERVED_AS, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    try:
        with httpx.Client(trust_env=False, timeout=120) as http:
            reply = http.post(f"{url}/chat/completions", json=body)
    except httpx.TransportError:
        return False
    return reply.status_code == httpx.codes.OK


def _say(line: str) -> None:
    print(f"[vllm] {line}", flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
