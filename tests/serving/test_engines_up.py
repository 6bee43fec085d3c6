"""`tutelage engines up` and `ls` as a user runs them, on a `vllm` that is a scripted engine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.home import Home
from serving.ports import pick_free_port, port_is_free
from serving.roster import Roster
from tests.serving.stub_vllm import install
from tests.serving.waiting import until

CONFIG = """
[upstreams.student]
base_url = "http://127.0.0.1:{student}/v1"
model = "small"
[upstreams.teacher]
base_url = "http://127.0.0.1:{teacher}/v1"
model = "large"
[upstreams.oracle]
base_url = "http://127.0.0.1:{nobody}/v1"
model = "oracle"
[engines.student]
kind = "vllm"
weights = "./{small}"
executable = "./vllm"
port = {student}
model = "small"
[engines.teacher]
kind = "vllm"
weights = "./large"
executable = "./vllm"
port = {teacher}
model = "large"
"""
TUTELAGE = (sys.executable, "-P", "-m", "gateway.commands")


class Place:
    """A folder with a config file, a home and a `vllm`."""

    def __init__(self, folder: Path, *, small: str = "small") -> None:
        self.folder = folder
        self.home = folder / "home"
        self.ports = {name: pick_free_port("127.0.0.1") for name in ("student", "teacher")}
        install(folder)
        for weights in (small, "large"):
            (folder / weights).mkdir()
        self.config = folder / "tutelage.toml"
        nobody = pick_free_port("127.0.0.1")
        self.config.write_text(CONFIG.format(small=small, nobody=nobody, **self.ports))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TUTELAGE, "engines", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "TUTELAGE_HOME": str(self.home), "COLUMNS": "200"}

    @contextmanager
    def up(self, *only: str) -> Iterator["Up"]:
        command = [*TUTELAGE, "engines", "up", "--config", str(self.config), *only]
        output = self.folder / "output.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(command, env=self.env, stdout=file, stderr=subprocess.STDOUT)
        running = Up(process, output)
        try:
            running.wait_for("all ready")
            yield running
        finally:
            process.kill()
            process.wait()


class Up:
    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process, self._output = process, output

    @property
    def said(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.said or self.process.poll() is not None, within_s=120)
        assert text in self.said, self.said


def test_the_engines_of_a_file_are_started_listed_and_ended(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.up() as up:
        listed = place.run("ls", "--config", str(place.config))
        up.process.send_signal(signal.SIGTERM)
        status = up.process.wait(timeout=60)

    for name, port in place.ports.items():
        (row,) = [line for line in listed.stdout.splitlines() if str(port) in line]
        assert row.split()[:2] == [name, "ready"]
        assert " MB" in row
        assert port_is_free("127.0.0.1", port)
    assert "without a gateway" in listed.stdout
    assert "oracle    unreachable" in listed.stdout
    assert "oracle    unreachable" in up.said
    assert status == 0
    assert "stopped; nothing is left running" in up.said


def test_one_that_is_killed_comes_back(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.up("student") as up:
        (file,) = Roster(Home(place.home).run).read()
        (row,) = file.engines
        assert row.pid is not None
        os.kill(row.pid, signal.SIGKILL)
        up.wait_for("engine student: was killed by signal 9")
        until(lambda: up.said.count("engine student: ready in") == 2)

    until(lambda: port_is_free("127.0.0.1", place.ports["student"]))


def test_one_alone_is_started_when_it_alone_is_named(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.up("teacher"):
        assert port_is_free("127.0.0.1", place.ports["student"])
        assert not port_is_free("127.0.0.1", place.ports["teacher"])


def test_one_that_cannot_start_ends_all_and_says_why(tmp_path: Path) -> None:
    place = Place(tmp_path, small="full")

    ran = place.run("up", "--config", str(place.config))

    assert ran.returncode == 1
    assert "error: engine student ended with status 1 (the GPU ran out of memory" in ran.stdout
    assert port_is_free("127.0.0.1", place.ports["teacher"])


@pytest.mark.parametrize(
    ("named", "said"),
    [("nobody", "there is no 'nobody'; it has student, teacher"), (None, "there is none to start")],
)
def test_what_is_not_there_is_told(tmp_path: Path, named: str | None, said: str) -> None:
    place = Place(tmp_path)
    if named is None:
        place.config.write_text("")

    ran = place.run("up", "--config", str(place.config), *([named] if named else []))

    assert ran.returncode == 1
    assert said in ran.stdout


def test_where_nothing_runs_ls_says_how_to_start(tmp_path: Path) -> None:
    place = Place(tmp_path)

    assert "no engine runs" in place.run("ls").stdout
    assert place.run("ls", "--config", str(tmp_path / "none.toml")).returncode == 1
