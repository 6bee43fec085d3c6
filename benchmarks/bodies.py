"""The request bodies: a short question, a conversation of 20 KB, and each as a stream."""

from enum import StrEnum
from pathlib import Path

import msgspec

_TURNS = 45
_LARGE_BYTES = 20_000
_QUESTION = "What is the capital of France? Answer in one sentence, without an explanation."


class Size(StrEnum):
    SMALL = "small"
    LARGE = "20 KB"


class _Message(msgspec.Struct):
    role: str
    content: str


class _Body(msgspec.Struct, omit_defaults=True):
    model: str
    messages: list[_Message]
    temperature: float
    stream: bool = False
    logprobs: bool = False
    top_logprobs: int = 0


def body(model: str, size: Size, *, stream: bool, logprobs: bool) -> bytes:
    return msgspec.json.encode(
        _Body(
            model=model,
            messages=_short() if size is Size.SMALL else _long(),
            temperature=0.5,
            stream=stream,
            logprobs=logprobs,
            top_logprobs=1 if logprobs else 0,
        )
    )


def written(folder: Path, model: str, size: Size, *, stream: bool, logprobs: bool) -> Path:
    """The body in a file, for the load generator."""
    kind = ("stream" if stream else "whole", "logprobs" if logprobs else "plain")
    path = folder / f"{size.name.lower()}-{'-'.join(kind)}.json"
    path.write_bytes(body(model, size, stream=stream, logprobs=logprobs))
    return path


def _short() -> list[_Message]:
    return [_Message("user", _QUESTION)]


def _long() -> list[_Message]:
    each = _LARGE_BYTES // _TURNS - len('{"role":"assistant","content":""},')
    text = (_QUESTION + " ") * (each // len(_QUESTION) + 1)
    roles = ("user", "assistant")
    return [_Message(roles[turn % 2], text[:each].strip()) for turn in range(_TURNS)]
