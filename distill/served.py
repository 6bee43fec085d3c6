"""Answers as users get them: a GGUF served by llama.cpp, asked over HTTP, with token logprobs."""

import json
import logging
import math
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import xllamacpp

from serving.reply import read_reply
from serving.triage.task import Answer, NotAnAnswer, Sentiment, messages, parse_answer

MAX_ANSWER_TOKENS = 24
TIMEOUT_S = 120.0
SAY_EVERY = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """One reply of a served model."""

    id: str
    text: str
    label_probability: float
    """Of the sentiment's token, given all before it; 0 if the answer has none."""
    seconds: float

    @property
    def answer(self) -> Answer | None:
        """None if the reply is not a triage answer."""
        try:
            return parse_answer(self.text)
        except NotAnAnswer:
            return None

    @property
    def sentiment(self) -> Sentiment | None:
        return self.answer.sentiment if self.answer else None


@contextmanager
def serve(gguf: Path, adapter: Path | None = None, *, slots: int, threads: int) -> Iterator[str]:
    """The base URL of llama.cpp serving one file (with an adapter), while the block runs."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(gguf)
    settings.n_parallel = slots
    settings.n_ctx = 1024 * slots
    settings.cpuparams.n_threads = threads
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.fit_params = False
    settings.verbosity = 1
    if adapter is not None:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(settings)
    try:
        yield server.listening_address
    finally:
        del server


class Text(Protocol):
    """What is asked about."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...


def ask(url: str, item: Text) -> ServedAnswer:
    """One greedy chat completion. Raises `NotAReply`."""
    asked = {
        "messages": messages(item.text),
        "temperature": 0,
        "max_tokens": MAX_ANSWER_TOKENS,
        "logprobs": True,
    }
    request = urllib.request.Request(  # noqa: S310 - http, to ourselves
        f"{url}/v1/chat/completions",
        json.dumps(asked).encode(),
        {"content-type": "application/json"},
    )
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
        body = reply.read()
    seconds = time.perf_counter() - started
    read = read_reply(body)
    labels = {label.value for label in Sentiment}
    logprob = next((token.logprob for token in read.tokens if token.token in labels), -math.inf)
    return ServedAnswer(item.id, read.text, math.exp(logprob), seconds)


def ask_all(url: str, items: Sequence[Text], *, at_once: int) -> list[ServedAnswer]:
    """Every item once, in order, `at_once` in flight (1 to measure latency)."""
    answers: list[ServedAnswer] = []
    with ThreadPoolExecutor(at_once) as pool:
        for answer in pool.map(lambda item: ask(url, item), items):
            answers.append(answer)
            if len(answers) % SAY_EVERY == 0:
                log.info("%d of %d answered", len(answers), len(items))
    return answers


def save_answers(answers: Sequence[ServedAnswer], path: Path) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(asdict(a)) + "\n" for a in answers), encoding="utf-8")


def load_answers(path: Path) -> list[ServedAnswer]:
    """What `save_answers` wrote."""
    return [ServedAnswer(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
