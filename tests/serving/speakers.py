"""Dialects without a socket, asked and listened to, and the recordings that they are held to."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.dialect import Answer, Dialect, Facts
from serving.llamacpp_shapes import LlamaCpp
from serving.say import Say, Tok
from serving.vllm_shapes import Vllm

GOLDEN = Path(__file__).parent.parent / "golden"
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, EMBEDDINGS = "/v1/responses", "/v1/embeddings"


def facts(*, tools: bool = True, stored: bool = True) -> Facts:
    return Facts("smol", context_tokens=2048, tools=tools, stored={} if stored else None)


@dataclass(frozen=True, slots=True)
class Speaker:
    """`folder` is where its recordings lie."""

    dialect: Dialect
    folder: str
    facts: Facts = field(default_factory=facts)

    def recorded(self, name: str) -> str:
        return (GOLDEN / self.folder / name).read_text(encoding="utf-8").strip()

    def ask(self, path: str, body: dict[str, Any]) -> Answer:
        """Understood, or Refused."""
        raw = json.dumps({"model": "smol"} | body).encode()
        answer = self.dialect.understand(path, raw, self.facts, number=1)
        assert answer is not None
        return answer

    def whole(self, path: str, body: dict[str, Any], *says: Say) -> Any:
        return json.loads(self.ask(path, body).whole(says))

    def stream(self, path: str, body: dict[str, Any], *says: Say) -> str:
        stream = self.ask(path, body | {"stream": True}).stream(says)
        return b"".join([*stream.opening, *stream.tokens, *stream.closing]).decode()

    def probe(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.dialect.probe(method, path, raw, self.facts))


VLLM = Speaker(Vllm(), "vllm-0.32")
LLAMACPP = Speaker(LlamaCpp(), "llamacpp")


def events(sse: str) -> list[Any]:
    """The data of each event; [DONE] as it is."""
    lines = [line for line in sse.splitlines() if line.startswith("data: ")]
    data = [line.removeprefix("data: ") for line in lines]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def names(sse: str) -> list[str]:
    """What the `event:` lines say."""
    lines = [line for line in sse.splitlines() if line.startswith("event: ")]
    return [line.removeprefix("event: ") for line in lines]


def tokens_of(entries: list[Any]) -> Iterator[Tok]:
    """Of logprob entries in the shape of chat and of responses."""
    for entry in entries:
        top = [(other["token"], other["logprob"]) for other in entry["top_logprobs"]]
        others = tuple(each for each in top if each[0] != entry["token"])
        yield Tok(entry["token"], entry["logprob"], others)


def script_of(entries: list[Any], ending: str) -> Say:
    """Say these entries again; the last one of a turn that ended is its end token."""
    tokens = list(tokens_of(entries))
    return Say(*tokens[:-1], end=tokens[-1]) if ending == "stop" else Say(*tokens)


MADE_UP = {
    *("created", "created_at", "completed_at", "model", "system_fingerprint", "timings"),
    *("item_id", "call_id", "prompt_tokens", "total_tokens", "input_tokens", "cached_tokens"),
}


def anonymous(answer: Any) -> str:
    """JSON in its order of keys, without what is made up anew for every answer."""
    return json.dumps(_blanked(answer))


def _blanked(value: Any) -> Any:
    if isinstance(value, list):
        return [_blanked(each) for each in value]
    if isinstance(value, dict):
        return {k: "…" if k in MADE_UP | {"id"} else _blanked(v) for k, v in value.items()}
    return value
