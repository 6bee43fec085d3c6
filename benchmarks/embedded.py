"""End-to-end latency of student, teacher and cascade on this machine, in one interleaved run.

    make bench-embedded   or: python -m benchmarks.embedded --requests 60

Starts `tutelage up --no-tour` on a port of its own and asks held-out questions one at a time, in
turn: the student's engine directly, the student through the gateway, the teacher likewise, and the
cascade. No text is asked twice: an engine that knows a prompt skips most of its work. Machines
differ and are noisy: read the ratios, not the milliseconds.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.machine import HERE, this_machine
from serving.home import Home
from serving.ports import pick_free_port
from serving.tour import choose
from serving.triage.task import messages

READY_WITHIN_S = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=60, help="questions asked each way")
    parser.add_argument("--write", type=Path, default=HERE / "embedded.md")
    wished = parser.parse_args()
    port = pick_free_port("127.0.0.1")
    with _up(port):
        seconds = _measure(_ways(port), wished.requests)
    table = _table(seconds)
    wished.write.write_text(table, encoding="utf-8")
    print(table)
    return 0


@contextmanager
def _up(port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "gateway.commands", "up", "--no-tour", "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        _wait_ready(f"http://127.0.0.1:{port}/readyz", process)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"tutelage up ended with {process.returncode}")
        try:
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise SystemExit(f"{url}: not ready within {READY_WITHIN_S:g} s")


def _ways(port: int) -> dict[str, tuple[str, str]]:
    """Name to (base URL, model)."""
    config = Home.of(os.environ).root / f"embedded-{port}.toml"
    upstreams = tomllib.loads(config.read_text(encoding="utf-8"))["upstreams"]
    gateway = f"http://127.0.0.1:{port}/v1"
    student, teacher = upstreams["student"], upstreams["teacher"]
    return {
        "student, its engine directly": (student["base_url"], student["model"]),
        "student through the gateway": (gateway, "triage:student"),
        "teacher, its engine directly": (teacher["base_url"], teacher["model"]),
        "teacher through the gateway": (gateway, "triage:teacher"),
        "cascade": (gateway, "triage"),
    }


def _measure(ways: dict[str, tuple[str, str]], requests: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with httpx.Client(timeout=120) as http:
        questions = iter(choose((requests + 1) * len(ways)))
        for number in range(requests + 1):
            for name, (base_url, model) in ways.items():
                question = next(questions)
                body = {"model": model, "messages": messages(question.text), "temperature": 0}
                began = time.perf_counter()
                http.post(f"{base_url}/chat/completions", json=body).raise_for_status()
                if number:  # the first round warms up
                    seconds[name].append(time.perf_counter() - began)
            if sys.stderr.isatty():
                print(f"\r{number}/{requests}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return seconds


def _table(seconds: dict[str, list[float]]) -> str:
    teacher = seconds["teacher through the gateway"]
    teacher_p50, teacher_mean = statistics.median(teacher), statistics.fmean(teacher)
    lines = [
        "# The embedded default, end to end",
        "",
        f"`make bench-embedded`: {len(teacher)} held-out questions each way, no text twice.",
        f"Machine: {this_machine()}.",
        "",
        "| way | p50 ms | p95 ms | mean ms | p50 / teacher's | mean / teacher's |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in seconds.items():
        p50, p95 = statistics.median(values), statistics.quantiles(values, n=20)[-1]
        mean = statistics.fmean(values)
        lines.append(
            f"| {name} | {p50 * 1e3:.0f} | {p95 * 1e3:.0f} | {mean * 1e3:.0f} "
            f"| {p50 / teacher_p50:.2f} | {mean / teacher_mean:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
