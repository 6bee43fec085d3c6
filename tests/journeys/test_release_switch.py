"""`tutelage up` and `tutelage releases` on real models, while clients ask without a pause."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from gateway.traces.reading import SqliteReader
from serving.home import Home
from serving.models import BASE
from serving.ports import pick_free_port
from serving.release_state import ReleaseState
from serving.triage import teacher_adapter_path
from serving.triage.dataset import Split, load
from serving.triage.task import messages
from tests.serving.test_up import Up, up
from tests.serving.waiting import until

pytestmark = pytest.mark.engine

TEXTS = [item.text for item in load(Split.CALIBRATION)[:8]]


@dataclass(slots=True)
class Clients:
    """Two that ask one text after the other, until told to stop."""

    url: str
    answers: list[httpx.Response] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def wait_for(self, what: Callable[[httpx.Response], bool]) -> None:
        """Until an answer that comes from now on is so."""
        began = len(self.answers)
        until(lambda: any(map(what, self.answers[began:])), within_s=120)

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=120) as http:
            while not self._stop.is_set():
                text = TEXTS[len(self.answers) % len(TEXTS)]
                body = {
                    "model": "triage",
                    "messages": messages(text),
                    "temperature": 0,
                    "max_tokens": 24,
                }
                self.answers.append(http.post("/v1/chat/completions", json=body))


def by_release(release: str) -> Callable[[httpx.Response], bool]:
    """Whether that release's student served it."""
    return lambda answer: (
        answer.headers.get("x-tutelage-release") == release
        and answer.headers.get("x-tutelage-served-by") == "student"
    )


def engine_of(running: Up, release: str) -> int:
    """The process that serves it."""
    standing = ReleaseState(Home(running.home).state).standing()
    (url,) = (each.base_url for each in standing if each.release == release)
    (pid,) = (each.pid for each in running.state().engines if f"{each.url}/v1" == url)
    assert pid is not None
    return pid


def releases(running: Up, *arguments: str) -> str:
    told = subprocess.run(
        [sys.executable, "-P", "-m", "gateway.commands", "releases", *arguments],
        env={**os.environ, "TUTELAGE_HOME": str(running.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout.strip()


@pytest.mark.timeout(600)  # five starts of engines, on a machine that may be busy
def test_a_switch_a_rollback_and_a_kill_lose_no_request(tmp_path: Path) -> None:
    models = Home.of(os.environ).models
    (tmp_path / "models").symlink_to(models)
    port = pick_free_port("127.0.0.1")
    clients = Clients(f"http://127.0.0.1:{port}")
    with up(tmp_path, "--no-tour", "--port", str(port)) as running:
        running.wait_for("until Ctrl-C")
        (shipped,) = (path.name for path in Home(tmp_path).releases.glob("triage-*"))
        # Another real student: the teacher's own weights, so that its answers differ.
        weights, adapter = str(models / BASE.file_name), str(teacher_adapter_path())
        made = ["--name", "large", "--threshold", "0.01", "--label", "sentiment", "--link"]
        large = releases(running, "add", weights, "--adapter", adapter, *made)
        with clients.asking():
            clients.wait_for(by_release(shipped))
            releases(running, "promote", "triage", "large", "--share", "0.5", "--why", "a try")
            clients.wait_for(by_release(large))
            clients.wait_for(by_release(shipped))
            releases(running, "promote", "triage", "--keep", "0", "--why", "good")
            running.wait_for(f"release {shipped}: stopping engine student")
            clients.wait_for(by_release(large))
            releases(running, "rollback", "triage", "--why", "not good")
            clients.wait_for(by_release(shipped))
            os.kill(engine_of(running, shipped), signal.SIGKILL)
            clients.wait_for(
                lambda answer: (
                    answer.headers["x-tutelage-served-by"] == "teacher"
                    and answer.headers["x-tutelage-reason"] == "student_error"
                )
            )
            clients.wait_for(by_release(shipped))
        assert running.end(signal.SIGINT) == 0

    assert {answer.status_code for answer in clients.answers} == {200}
    with SqliteReader(Home(tmp_path).traces) as reader:
        traced = {each.trace_id: each for each, _ in reader.of_route("triage", since_s=0.0)}
    for answer in clients.answers:
        exchange = traced[answer.headers["x-tutelage-trace-id"]]
        served = exchange.student if exchange.served_by == "student" else exchange.teacher
        assert served is not None
        assert exchange.release == answer.headers["x-tutelage-release"]
        assert served.text == answer.json()["choices"][0]["message"]["content"]
