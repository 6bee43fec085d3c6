"""Asks the dialect of vLLM without a socket, and reads the recordings that it is held to."""

import json
from pathlib import Path
from typing import Any

from serving.dialect import Answer, Facts
from serving.say import Say, Tok
from serving.vllm_shapes import Vllm

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "vllm-0.32"
FACTS = Facts(model="smol", context_tokens=2048, tools=True)


def recorded(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8").strip()


def ask(path: str, body: dict[str, Any], facts: Facts = FACTS) -> Answer:
    """Understood, or Refused."""
    answer = Vllm().understand(path, json.dumps(body).encode(), facts, number=1)
    assert answer is not None
    return answer


def said_whole(path: str, body: dict[str, Any], *says: Say) -> Any:
    return json.loads(ask(path, body).whole(says))


def said_stream(path: str, body: dict[str, Any], *says: Say) -> str:
    stream = ask(path, body | {"stream": True}).stream(says)
    return b"".join([*stream.opening, *stream.tokens, *stream.closing]).decode()


def events(sse: str) -> list[Any]:
    """The data of each event; [DONE] as it is."""
    lines = [line for line in sse.splitlines() if line.startswith("data: ")]
    data = [line.removeprefix("data: ") for line in lines]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def token_of(entry: Any) -> Tok:
    """Of a logprob entry in the shape of chat and of responses."""
    others = tuple((other["token"], other["logprob"]) for other in entry["top_logprobs"][1:])
    return Tok(entry["token"], entry["logprob"], others)


def script_of(entries: list[Any], ending: str) -> Say:
    """Say these entries again; the last one of a turn that ended is its end token."""
    tokens = [token_of(entry) for entry in entries]
    return Say(*tokens[:-1], end=tokens[-1]) if ending == "stop" else Say(*tokens)


MADE_UP = {
    *("id", "created", "created_at", "model", "system_fingerprint", "item_id", "call_id"),
    *("prompt_tokens", "total_tokens", "input_tokens"),
}


def anonymous(answer: Any) -> str:
    """JSON in its order of keys, without what is made up anew for every answer."""
    return json.dumps(_blanked(answer))


def _blanked(value: Any) -> Any:
    if isinstance(value, list):
        return [_blanked(each) for each in value]
    if isinstance(value, dict):
        return {k: "…" if k in MADE_UP else _blanked(v) for k, v in value.items()}
    return value
