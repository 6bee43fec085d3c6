"""An engine that accepts whatever the gateway lets through, and answers as vLLM or llama.cpp does.

Requests in these suites are made up from types and schemas. A real engine refuses most of them for
its own reasons; what is asked here is what the gateway makes of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from serving.dialect import Answer, Dialect, Facts, Refused, Stream, encode
from serving.say import SURE, UNSURE, Say, ToolCall
from serving.scripted_engine import Flavour, ScriptedEngine
from tests.journeys.keeping import KeepingDialect

WORDS = ("All", " is", " well", ".")
HELLO = [{"role": "user", "content": "hello"}]
PLAIN: Mapping[str, Mapping[str, object]] = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/completions": {"prompt": "hello"},
    "/v1/responses": {"input": "hello"},
    "/v1/embeddings": {"input": "hello"},
    "/tokenize": {"prompt": "hello"},
    "/detokenize": {"tokens": [1]},
}
"""What is taken for asked where vLLM would not take what was."""
SHAPING = ("stream", "stream_options", "n", "logprobs", "echo", "include")
"""What of a request decides the form of its answer: the gateway has checked these."""


@dataclass(frozen=True, slots=True)
class Obliging:
    """An answer that says what would be wanted of it."""

    answer: Answer
    says: Say

    @property
    def streamed(self) -> bool:
        return self.answer.streamed

    @property
    def last_words(self) -> str:
        return self.answer.last_words

    def whole(self, says: Sequence[Say]) -> bytes:
        return self.answer.whole((self.says,))

    def stream(self, says: Sequence[Say]) -> Stream:
        return self.answer.stream((self.says,))

    def error_event(self, message: str, *, failed: bool) -> bytes:
        return self.answer.error_event(message, failed=failed)


class Agreeable:
    """A dialect whose every second answer is unsure: student and teacher take turns."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._logprobs = (UNSURE if number % 2 else SURE for number in count())

    def understand(self, path: str, raw: bytes, facts: Facts, *, number: int) -> Answer | None:
        asked: dict[str, Any] = msgspec.json.decode(raw) if path in PLAIN else {}
        try:
            answer = self._dialect.understand(path, raw, facts, number=number)
        except Refused:
            plain = encode({**PLAIN[path], **_form(asked), "model": facts.model})
            answer = self._dialect.understand(path, plain, facts, number=number)
        return Obliging(answer, self._say(asked)) if answer is not None else None

    def probe(self, method: str, path: str, raw: bytes, facts: Facts) -> bytes:
        try:
            return self._dialect.probe(method, path, raw, facts)
        except Refused:
            if path not in PLAIN:
                raise
            plain = encode({**PLAIN[path], "model": facts.model})
            return self._dialect.probe(method, path, plain, facts)

    def error(self, status: int, message: str, *, kind: str) -> bytes:
        return self._dialect.error(status, message, kind=kind)

    def _say(self, asked: Mapping[str, Any]) -> Say:
        logprob = next(self._logprobs)
        if asked.get("tool_choice") != "required":
            return Say(*WORDS, logprob=logprob)
        tool = asked["tools"][0]
        call = ToolCall(tool.get("function", tool)["name"], '{"location": "Paris"}')
        return Say(tool_calls=(call,), logprob=logprob)


def _form(asked: Mapping[str, Any]) -> dict[str, object]:
    """The shaping fields, and as many prompts as there were."""
    form = {name: asked[name] for name in SHAPING if asked.get(name) is not None}
    if "n" in form:
        form["n"] = int(asked["n"])  # 2.0 is a whole number, too
    if not isinstance(form.get("logprobs", True), bool):
        form["logprobs"] = 2
    form["include"] = [each for each in asked.get("include") or () if isinstance(each, str)]
    match asked.get("prompt"):
        case [str() | list(), *_] as prompts:
            form["prompt"] = ["hello"] * len(prompts)
        case _:
            pass
    return form


def agreeable_engine(model: str, flavour: Flavour) -> ScriptedEngine:
    """As vLLM with a store, or as llama.cpp, which has none."""
    engine = ScriptedEngine(model=model, flavour=flavour)
    dialect = KeepingDialect(forgets=False) if flavour == "vllm" else engine._dialect
    engine._dialect = Agreeable(dialect)
    return engine
