"""Real traffic for `benchmarks.confidence`: each text answered by student and teacher, and judged.

`tutelage up` with the shipped pair; the gate lets everything pass and the shadow asks the teacher
about everything, so the traces hold every pair. The client asks for logprobs, to see all tokens.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
from rich.console import Console

from serving.embedded import prepare_models, write_config
from serving.home import Home
from serving.models import ModelCache
from serving.ports import pick_free_port
from serving.screen import Screen
from serving.triage.dataset import Feedback, Split, load
from serving.triage.task import messages

READY_WITHIN_S = 600.0
FIT: Final = Split.CALIBRATION
HELD_OUT: Final = Split.SHADOW
"""Everything is fitted and chosen on the one, and stated on the other."""

_LOOK_EVERY = 4
_PENDING = 3
"""Pairs that may still lack the teacher's answer when more is asked."""


class Alternative(msgspec.Struct):
    token: str
    logprob: float


class Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[Alternative]


class Content(msgspec.Struct):
    content: list[Token]


class Choice(msgspec.Struct):
    logprobs: Content


class Reply(msgspec.Struct):
    choices: list[Choice]


class Asked(msgspec.Struct):
    """One line of `replies.jsonl`. part: FIT's or HELD_OUT's value; id: the text's."""

    part: str
    id: str
    trace: str
    reply: Reply

    @property
    def tokens(self) -> list[Token]:
        return self.reply.choices[0].logprobs.content


def collect(folder: Path, requests: int | None, *, threads: int | None) -> None:
    """Asks what `folder` lacks, of a fixed shuffle of both parts; it can be stopped and gone on."""
    folder.mkdir(parents=True, exist_ok=True)
    done = {each.id for each in read(folder)}
    todo = [each for each in _shuffled()[:requests] if each[1].id not in done]
    if not todo:
        return
    port = pick_free_port("127.0.0.1")
    with _up(_config(folder, port, threads)), httpx.Client(timeout=120) as http:
        base = f"http://127.0.0.1:{port}"
        _wait_ready(http, f"{base}/readyz")
        with (folder / "replies.jsonl").open("a", encoding="utf-8") as lines:
            for number, (part, item) in enumerate(todo, start=1):
                lines.write(json.dumps(_ask(http, base, part, item)) + "\n")
                lines.flush()
                if number % _LOOK_EVERY == 0 or number == len(todo):
                    pending = 0 if number == len(todo) else _PENDING
                    while number - _shadowed(http, base) > pending:
                        time.sleep(0.2)
                print(f"\r{number}/{len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def read(folder: Path) -> list[Asked]:
    file = folder / "replies.jsonl"
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Asked) for line in lines]


def _shuffled() -> list[tuple[str, Feedback]]:
    items = [(part.value, item) for part in (FIT, HELD_OUT) for item in load(part)]
    random.Random(0).shuffle(items)
    return items


def _ask(http: httpx.Client, base: str, part: str, item: Feedback) -> dict[str, object]:
    body = {"model": "triage", "messages": messages(item.text), "temperature": 0}
    body |= {"logprobs": True, "top_logprobs": 10}
    reply = http.post(f"{base}/v1/chat/completions", json=body).raise_for_status()
    trace = reply.headers["x-tutelage-trace-id"]
    return {"part": part, "id": item.id, "trace": trace, "reply": reply.json()}


def _shadowed(http: httpx.Client, base: str) -> int:
    lines = http.get(f"{base}/metrics").text.splitlines()
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in lines
        if line.startswith("tutelage_shadow_total{")
    )


def _config(folder: Path, port: int, threads: int | None) -> Path:
    """The embedded default's, with everything served by the student and everything shadowed."""
    home = Home.of(os.environ)
    screen = Screen(Console(stderr=True), clock=time.monotonic)
    models = prepare_models(ModelCache(home.models, progress=screen))
    text = write_config(home, models, port=port).read_text(encoding="utf-8")
    for key, value in (
        ("gate", '{ signal = "mean_probability", threshold = 0.0001, window_tokens = 24 }'),
        ("shadow", "{ rate = 1.0, max_in_flight = 16 }"),
        ("store", json.dumps(f"sqlite://{(folder / 'traces.db').absolute()}")),
    ):
        text, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        if found != 1:
            raise SystemExit(f"the embedded default's config has {found} lines `{key} = …`, not 1")
    if threads is not None:
        text = re.sub(r"(?m)^context_tokens = .*$", rf"\g<0>\nthreads = {threads}", text)
    config = folder / "tutelage.toml"
    config.write_text(text, encoding="utf-8")
    return config


@contextmanager
def _up(config: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "gateway.commands", "up", "--no-tour", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_ready(http: httpx.Client, url: str) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        try:
            if http.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise SystemExit(f"{url}: not ready within {READY_WITHIN_S:g} s")
