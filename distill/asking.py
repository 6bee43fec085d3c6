"""A teacher asked over OpenAI's API: several at a time, again where that may help, never twice.

What was answered is kept, a JSON object a line, under a hash of all that shapes the answer; what
was spent is counted, and there is an end to it.
"""

import hashlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from distill.task import Task
from serving.checked import Checked, Secret

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_CANDIDATES = 20
"""As many as vLLM and OpenAI give for one token."""


class TeacherUnavailable(Exception):
    """It refused, or gave no answer however often it was asked; the text says what it said."""


class Teacher(Checked):
    """Whom to ask, and how. usd_per_mtok: of tokens read and written alike, at the dearer's price.

    cost_cap_usd: no more is asked once this is spent; None: without an end.
    """

    url: str
    model: str
    api_key: Secret | None = None
    max_tokens: int = 64
    at_once: int = 4
    tries: int = 4
    timeout_s: float = 120.0
    usd_per_mtok: float = 0.0
    cost_cap_usd: float | None = None


class Said(msgspec.Struct, frozen=True):
    """One answer. tokens: of each written one the likeliest candidates, text to probability."""

    key: str
    text: str
    tokens: tuple[dict[str, float], ...]
    usage_tokens: int


@dataclass(frozen=True, slots=True)
class Asked:
    """By text. unasked: texts that the cost cap left out. spent_usd: in this run alone."""

    said: Mapping[str, Said]
    unasked: tuple[str, ...]
    spent_usd: float


class _Candidate(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Candidate] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


def ask_teacher(
    texts: Sequence[str],
    task: Task,
    teacher: Teacher,
    cache: Path,
    *,
    key: str | None = None,
    sleep: Callable[[float], None],
) -> Asked:
    """Greedy, with token probabilities. Raises TeacherUnavailable; what was answered is kept."""
    known = _read(cache)
    keys = {text: _key(text, task, teacher) for text in texts}
    spent = _Purse(teacher)
    unasked: list[str] = []
    lock = threading.Lock()

    def ask(text: str) -> None:
        if spent.is_empty():
            unasked.append(text)
            return
        said = _ask(client, keys[text], task.conversation(text), teacher, sleep)
        with lock:
            spent.pay(said.usage_tokens)
            known[said.key] = said
            with cache.open("ab") as file:
                file.write(msgspec.json.encode(said) + b"\n")

    missing = [text for text, key in keys.items() if key not in known]
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with (
        httpx.Client(base_url=teacher.url, headers=headers, timeout=teacher.timeout_s) as client,
        ThreadPoolExecutor(teacher.at_once) as pool,
    ):
        list(pool.map(ask, missing))
    said = {text: known[key] for text, key in keys.items() if key in known}
    return Asked(said, tuple(unasked), spent.usd)


class _Purse:
    """What may still be spent."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self.usd = 0.0

    def pay(self, tokens: int) -> None:
        self.usd += tokens * self._teacher.usd_per_mtok / 1e6

    def is_empty(self) -> bool:
        cap = self._teacher.cost_cap_usd
        return cap is not None and self.usd >= cap


def _ask(
    client: httpx.Client,
    key: str,
    conversation: list[dict[str, str]],
    teacher: Teacher,
    sleep: Callable[[float], None],
) -> Said:
    body = {
        "model": teacher.model,
        "messages": conversation,
        "temperature": 0,
        "max_tokens": teacher.max_tokens,
        "logprobs": True,
        "top_logprobs": _CANDIDATES,
    }
    problem = ""
    for attempt in range(teacher.tries):
        if attempt:
            sleep(0.5 * 2.0 ** (attempt - 1))
        try:
            reply = client.post("chat/completions", json=body)
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: {error}"
            continue
        if reply.is_success:
            return _said(key, reply.content, teacher)
        problem = f"status {reply.status_code}: {reply.text[:200]}"
        if reply.status_code not in _AGAIN:
            break
    raise TeacherUnavailable(f"{teacher.url}, model {teacher.model}: {problem}")


def _said(key: str, body: bytes, teacher: Teacher) -> Said:
    try:
        reply = msgspec.json.decode(body, type=_Reply)
        first = reply.choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise TeacherUnavailable(f"{teacher.url}: not a chat completion: {body[:200]!r}") from error
    written = (first.logprobs.content if first.logprobs else None) or []
    return Said(
        key=key,
        text=first.message.content or "",
        tokens=tuple(
            {token.token: math.exp(token.logprob)}
            | {each.token: math.exp(each.logprob) for each in token.top_logprobs}
            for token in written
        ),
        usage_tokens=reply.usage.total_tokens if reply.usage else 0,
    )


def _key(text: str, task: Task, teacher: Teacher) -> str:
    shaped = [teacher.url, teacher.model, teacher.max_tokens, task.conversation(text)]
    return hashlib.sha256(msgspec.json.encode(shaped)).hexdigest()


def _read(cache: Path) -> dict[str, Said]:
    if not cache.exists():
        return {}
    lines = cache.read_bytes().split(b"\n")[:-1]  # a line that was cut is no answer
    said = (msgspec.json.decode(line, type=Said) for line in lines)
    return {each.key: each for each in said}
