"""`tutelage up` as a user runs it: a real process, real engines, the real gateway, real signals."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving.home import Home
from serving.models import BASE
from serving.ports import pick_free_port, port_is_free
from serving.roster import Roster, RosterFile
from tests.serving.waiting import until

CONFIG = """
[server]
port = {gateway}
[upstreams.student]
base_url = "http://127.0.0.1:{engine}/v1"
model = "smol"
[upstreams.teacher]
base_url = "http://127.0.0.1:{engine}/v1"
model = "smol"
[routes.chat]
student = "student"
teacher = "teacher"
[engines.smol]
gguf = "{gguf}"
port = {engine}
model = "smol"
context_tokens = 256
slots = 1
threads = 1
"""


class Up:
    """A running `tutelage up` and what it has said."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._output = home / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway.commands", "up", *arguments],
                env={**os.environ, "TUTELAGE_HOME": str(home)},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home,
            )

    @property
    def said(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.said or self.process.poll() is not None, within_s=120)
        assert text in self.said, self.said

    def state(self) -> RosterFile:
        (file,) = Roster(Home(self.home).run).read()
        return file

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=60)


@contextmanager
def up(home: Path, *arguments: str) -> Iterator[Up]:
    running = Up(home, *arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def ports() -> tuple[int, int]:
    return pick_free_port("127.0.0.1"), pick_free_port("127.0.0.1")


@pytest.fixture
def serving(tmp_path: Path, ports: tuple[int, int], base_gguf: Path) -> Iterator[Up]:
    gateway, engine = ports
    config = tmp_path / "tutelage.toml"
    config.write_text(CONFIG.format(gateway=gateway, engine=engine, gguf=base_gguf))
    with up(tmp_path, "--config", str(config)) as running:
        running.wait_for("until Ctrl-C")
        running.wait_for("tutelage top --url http://127.0.0.1:")
        yield running


def wait_all_gone(ports: tuple[int, int]) -> None:
    until(lambda: all(port_is_free("127.0.0.1", port) for port in ports), within_s=30)


@pytest.mark.engine
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_up_serves_until_it_is_told_to_stop(
    serving: Up, ports: tuple[int, int], how: signal.Signals
) -> None:
    reply = httpx.post(
        f"http://127.0.0.1:{ports[0]}/v1/chat/completions",
        json={
            "model": "chat",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 4,
        },
        timeout=60,
    )
    assert reply.status_code == 200
    assert serving.state().engines[0].state == "ready"

    assert serving.end(how) == 0

    assert serving.said.endswith("stopped; nothing is left running\n")
    assert all(port_is_free("127.0.0.1", port) for port in ports)
    assert list(Roster(Home(serving.home).run).read()) == []


@pytest.mark.engine
def test_a_killed_up_leaves_nothing_running(serving: Up, ports: tuple[int, int]) -> None:
    serving.end(signal.SIGKILL)
    wait_all_gone(ports)


@pytest.mark.engine
def test_a_killed_gateway_ends_the_engines_with_an_error(
    serving: Up, ports: tuple[int, int]
) -> None:
    pid = serving.state().gateway_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    assert serving.process.wait(timeout=60) == 1
    assert "error: gateway was killed by signal 9; last lines of" in serving.said
    assert all(port_is_free("127.0.0.1", port) for port in ports)


@pytest.mark.engine
def test_a_killed_engine_is_back_on_its_port(serving: Up, ports: tuple[int, int]) -> None:
    (engine,) = serving.state().engines
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)

    serving.wait_for("engine smol: was killed by signal 9 (not by us: ")
    serving.wait_for("; again in 0.5 s")
    until(lambda: serving.state().engines[0].state == "ready")
    (again,) = serving.state().engines
    assert again.pid != engine.pid
    assert again.port == ports[1]
    assert serving.process.poll() is None


@pytest.mark.engine
def test_the_tour_asks_the_shipped_student_and_teacher(tmp_path: Path) -> None:
    port = pick_free_port("127.0.0.1")
    (tmp_path / "models").symlink_to(Home.of(os.environ).models)
    with up(tmp_path, "--port", str(port), "--tour-size", "2") as running:
        running.wait_for("until Ctrl-C")
        assert running.end(signal.SIGINT) == 0

    rows = [line for line in running.said.splitlines() if line.startswith(("  1/2 ", "  2/2 "))]
    assert len(rows) == 2
    for row in rows:
        assert re.match(
            r"  ./2 (negative|neutral|positive) [0-4] +gold \w+ +by (student|teacher)", row
        )
    for figure in ("accuracy on labels", "latency p50", "cost per 1k requests", "(coverage)"):
        assert figure in running.said
    assert "failed requests      │             0 │             0 │" in running.said


def test_a_busy_port_is_named_before_anything_is_fetched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up(tmp_path, "--port", str(port)) as refused:
            assert refused.process.wait(timeout=60) == 1
    assert f"port {port} on 127.0.0.1 is already in use; choose another with --port" in refused.said
    assert not (tmp_path / "models" / BASE.file_name).exists()


def test_a_config_that_is_not_there_is_named(tmp_path: Path) -> None:
    with up(tmp_path, "--config", "none.toml") as refused:
        assert refused.process.wait(timeout=60) == 1
    assert "error: none.toml: cannot be read: No such file or directory" in refused.said


def test_a_config_that_the_gateway_refuses_starts_no_engine(tmp_path: Path) -> None:
    config = tmp_path / "tutelage.toml"
    config.write_text(CONFIG.format(gateway=9000, engine=9001, gguf="x.gguf") + "[routs.chat]\n")
    with up(tmp_path, "--config", str(config)) as refused:
        assert refused.process.wait(timeout=60) == 1
    assert "tutelage.toml: routs: unknown key" in refused.said
    assert not (tmp_path / "logs").exists()


def test_a_port_beside_a_config_is_refused(tmp_path: Path) -> None:
    with up(tmp_path, "--config", "tutelage.toml", "--port", "9000") as refused:
        assert refused.process.wait(timeout=60) == 1
    assert "with --config, set [server] port in tutelage.toml" in refused.said


def test_engines_ls_says_when_nothing_runs(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-P", "-m", "gateway.commands", "engines", "ls"],
        env={**os.environ, "TUTELAGE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "no engine runs; `tutelage up` starts the embedded ones\n"
