"""What the teacher is asked: to read a draft, and to go on from it; and what it says of it.

Both calls go to `/v1/completions` with token ids for a prompt. Reading a prompt's logprobs cannot
be streamed, and no engine goes on from the middle of what it reads, so these are two calls.
"""

from collections.abc import Sequence

import msgspec

from gateway.chat import TokenUsage
from gateway.errors import UpstreamFailed
from gateway.verify_wish import SAMPLING
from gateway.wire import UNREADABLE, Asked
from router.trace import Usage
from router.verify_rules import Candidate, Reading

PATH = "/completions"


def reading_body(
    model: str, prompt: Sequence[int], *, top: int, priority: int | None = None
) -> bytes:
    """One token is the least that an engine writes; nobody reads it."""
    body: dict[str, object] = {
        "model": model,
        "prompt": prompt,
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": top,
    }
    return msgspec.json.encode(body if priority is None else body | {"priority": priority})


def continuing_body(model: str, prompt: Sequence[int], asked: Asked, *, max_tokens: int) -> bytes:
    """As the client asked, where it still matters."""
    body: dict[str, object] = {
        name: asked.fields[name] for name in asked.fields.keys() & (SAMPLING | {"priority"})
    }
    body |= {"model": model, "prompt": prompt, "max_tokens": max_tokens, "stream": asked.stream}
    if asked.stream:
        body["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(body)


class _Entry(msgspec.Struct):
    logprob: float
    rank: int | None = None


class _ReadChoice(msgspec.Struct):
    prompt_logprobs: list[msgspec.Raw] | None = None


class _Read(msgspec.Struct):
    choices: list[_ReadChoice]
    usage: TokenUsage | None = None


_READ = msgspec.json.Decoder(_Read)
_ENTRIES = msgspec.json.Decoder(dict[int, _Entry])


def read_back(
    upstream: str, whole: bytes, tokens: Sequence[int], *, top: int
) -> tuple[tuple[Reading, ...], Usage]:
    """The teacher's opinion of the last tokens of a prompt. Raises UpstreamFailed."""
    try:
        answer = _READ.decode(whole)
        told = answer.choices[0].prompt_logprobs or []
        if len(told) < len(tokens):
            problem = f"told the logprobs of {len(told)} tokens of a prompt with {len(tokens)}"
            raise UpstreamFailed(upstream, problem)
        last = told[len(told) - len(tokens) :]
        readings = tuple(_reading(*each, top) for each in zip(tokens, last, strict=True))
    except (*UNREADABLE, LookupError) as error:
        problem = f"told prompt_logprobs of an unknown shape: {error}"
        raise UpstreamFailed(upstream, problem) from error
    return readings, answer.usage.spent() if answer.usage is not None else Usage()


def _reading(token: int, raw: msgspec.Raw, top: int) -> Reading:
    """The token that was written is there whatever its rank. Raises KeyError if it is not."""
    entries = _ENTRIES.decode(raw)
    own = entries[token]
    ranked = sorted(entries.items(), key=lambda each: -each[1].logprob)
    above = sum(each.logprob > own.logprob for each in entries.values())
    best = tuple(Candidate(each, entry.logprob) for each, entry in ranked)[: max(top, 1)]
    return Reading(token, own.logprob, own.rank if own.rank is not None else 1 + above, best)


class Continuation(msgspec.Struct):
    """A text completion, or a chunk of one."""

    choices: list["ContinuedChoice"]
    usage: TokenUsage | None = None


class ContinuedChoice(msgspec.Struct):
    text: str = ""
    finish_reason: str | None = None


_CONTINUATION = msgspec.json.Decoder(Continuation)


def read_continuation(upstream: str, payload: bytes) -> Continuation:
    """Raises UpstreamFailed."""
    try:
        return _CONTINUATION.decode(payload)
    except UNREADABLE as error:
        problem = f"answered something that is no completion: {error}"
        raise UpstreamFailed(upstream, problem) from error
