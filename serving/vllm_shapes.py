"""Chat completions in the shapes of vLLM 0.32, written from a script: bytes in, bytes out.

Held to recordings of the real engine by tests/serving/test_scripted_engine.py.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec

from serving.scripts import Say, Tok

CREATED = 1_795_324_616
"""Unix seconds of everything the scripted engine makes: it has no clock."""
FINGERPRINT = "vllm-0.32.0-scripted"
MAX_TOP_LOGPROBS = 20
MAX_MODEL_LEN = 8192

encode = msgspec.json.encode


class Refused(Exception):
    """A request that vLLM answers with an error; renders as its error body."""

    def __init__(self, status: int, kind: str, param: str | None, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message, kind=kind, param=param)


def error_body(status: int, message: str, *, kind: str, param: str | None = None) -> bytes:
    """The error object of vLLM; its code is an integer, unlike OpenAI's."""
    return encode(
        {"error": {"message": message, "type": kind, "param": param, "code": status}},
    )


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Asked(msgspec.Struct):
    """What a chat request says about the shape of its answer; the rest is ignored here."""

    model: str
    messages: list[dict[str, object]]
    stream: bool = False
    stream_options: StreamOptions | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None
    n: int | None = 1
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None

    @property
    def prompt_tokens(self) -> int:
        """Words, and three tokens of template a message."""
        return sum(len(str(m.get("content") or "").split()) + 3 for m in self.messages)

    @property
    def last_words(self) -> str:
        """The content of the last user message."""
        users = [m for m in self.messages if m.get("role") == "user"]
        return str(users[-1].get("content") or "") if users else ""


def parse(raw: bytes, *, model: str) -> Asked:
    """The request, or Refused as vLLM refuses it."""
    try:
        asked = msgspec.json.decode(raw, type=Asked)
    except msgspec.MsgspecError as error:
        raise Refused(400, "BadRequestError", None, str(error)) from error
    if asked.model != model:
        message = f"The model `{asked.model}` does not exist. Valid aliases: {model}."
        raise Refused(404, "NotFoundError", "model", message)
    if (asked.top_logprobs or 0) > MAX_TOP_LOGPROBS:
        message = (
            f"Requested sample logprobs of {asked.top_logprobs}, which is greater than max "
            f"allowed: {MAX_TOP_LOGPROBS} (parameter=logprobs, value={asked.top_logprobs})"
        )
        raise Refused(400, "BadRequestError", "logprobs", message)
    if asked.top_logprobs and not asked.logprobs:
        message = "when using `top_logprobs`, `logprobs` must be set to true."
        raise Refused(400, "BadRequestError", "top_logprobs", message)
    return asked


@dataclass(frozen=True, slots=True)
class Written:
    """An answer after `stop` and `max_tokens` had their say."""

    tokens: tuple[Tok, ...]
    texts: tuple[str, ...]
    """What each token adds to the text: less than itself where a stop string cut it."""
    finish_reason: str
    stop_reason: str | None
    end: Tok | None
    """The end-of-turn token, where the model came to it: counted, and without text."""

    @property
    def completion_tokens(self) -> int:
        return len(self.tokens) + (self.end is not None)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def write(asked: Asked, say: Say) -> Written:
    """Cut the script where the request says that the answer ends."""
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    limit = asked.max_completion_tokens or asked.max_tokens or MAX_MODEL_LEN
    texts = tuple(token.text for token in say.tokens[:limit])
    for count in range(1, len(texts) + 1):
        text = "".join(texts[:count])
        found = [(text.find(stop), stop) for stop in stops if stop in text]
        if found:
            position, stop = min(found)
            return Written(
                say.tokens[:count], _up_to(position, texts[:count]), "stop", stop, end=None
            )
    if limit <= len(say.tokens):
        return Written(say.tokens[:limit], texts, "length", None, end=None)
    ends = say.finish_reason != "length"
    return Written(say.tokens, texts, say.finish_reason, None, end=say.end if ends else None)


def _up_to(position: int, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts, cut where together they have `position` characters."""
    starts = accumulate((len(text) for text in texts), initial=0)
    return tuple(
        text[: max(0, position - start)] for start, text in zip(starts, texts, strict=False)
    )


def _entry(text: str, logprob: float) -> dict[str, object]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _logprobs(asked: Asked, say: Say, *tokens: Tok) -> dict[str, object] | None:
    """The logprobs object of these tokens, if they were asked for and are not withheld."""
    if not (asked.logprobs and say.logprobs):
        return None
    top = asked.top_logprobs or 0
    entries = []
    for token in tokens:
        ranked = [(token.text, token.logprob), *_runners_up(token, top)]
        entries.append(
            _entry(token.text, token.logprob)
            | {"top_logprobs": [_entry(*candidate) for candidate in ranked[:top]]},
        )
    return {"content": entries}


def _runners_up(token: Tok, count: int) -> list[tuple[str, float]]:
    """The given alternatives, then made-up ones: each takes half of the mass that is left."""
    known = list(token.alternatives)
    left = 1 - sum(math.exp(logprob) for _, logprob in [(token.text, token.logprob), *known])
    for rank in range(len(known), count):
        left = max(left, 1e-9) / 2
        known.append((f" other{rank + 1}", math.log(left)))
    return known


def whole(asked: Asked, say: Say, *, answer_id: str) -> bytes:
    """The body of an answer that is not streamed."""
    written = write(asked, say)
    ends = () if written.end is None else (written.end,)
    message = {"role": "assistant", "content": written.text} | dict.fromkeys(
        ("refusal", "annotations", "audio", "function_call", "reasoning"),
    )
    choices = [
        {
            "index": index,
            "message": message,
            "logprobs": _logprobs(asked, say, *written.tokens, *ends),
            "finish_reason": written.finish_reason,
            "stop_reason": written.stop_reason,
            "token_ids": None,
            "routed_experts": None,
        }
        for index in range(asked.n or 1)
    ]
    head = {"id": answer_id, "object": "chat.completion", "created": CREATED, "model": asked.model}
    usage = _usage(asked, written) | dict.fromkeys(
        ("prompt_tokens_details", "completion_tokens_details"),
    )
    after = {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": usage}
    extensions = dict.fromkeys(
        (
            "prompt_logprobs",
            "prompt_token_ids",
            "prompt_text",
            "kv_transfer_params",
            "ec_transfer_params",
            "metrics",
        ),
    )
    return encode(head | {"choices": choices} | after | extensions)


def _usage(asked: Asked, written: Written) -> dict[str, Any]:
    completion = written.completion_tokens * (asked.n or 1)
    return {
        "prompt_tokens": asked.prompt_tokens,
        "total_tokens": asked.prompt_tokens + completion,
        "completion_tokens": completion,
    }


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer in its three parts, each event framed for the wire."""

    opening: tuple[bytes, ...]
    """The role chunk of every choice."""
    tokens: tuple[bytes, ...]
    """One element a token: its chunk in every choice."""
    closing: tuple[bytes, ...]
    """The chunk that carries the end-of-turn token, usage if asked for, [DONE]."""


def sse(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"


def stream(asked: Asked, say: Say, *, answer_id: str) -> Stream:
    """The events of a streamed answer."""
    written = write(asked, say)
    head = {
        "id": answer_id,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": asked.model,
    }

    def every_choice(
        delta: Mapping[str, str],
        rest: Mapping[str, object],
        tail: Mapping[str, object],
    ) -> bytes:
        choices = ({"index": i, "delta": delta, **rest} for i in range(asked.n or 1))
        return b"".join(sse(encode({**head, "choices": [c], **tail})) for c in choices)

    def spoken(token: Tok, text: str, *, last: bool) -> bytes:
        ending: dict[str, object] = {"finish_reason": None}
        if last:
            ending = {"finish_reason": written.finish_reason, "stop_reason": written.stop_reason}
        rest = {"logprobs": _logprobs(asked, say, token), **ending, "token_ids": None}
        return every_choice({"content": text}, rest, {})

    def closing() -> Iterator[bytes]:
        if written.end is not None:
            yield spoken(written.end, "", last=True)
        if asked.stream_options is not None and asked.stream_options.include_usage:
            usage = {"usage": _usage(asked, written), "system_fingerprint": FINGERPRINT}
            yield sse(encode({**head, "choices": [], **usage}))
        yield sse(b"[DONE]")

    return Stream(
        opening=(
            every_choice(
                {"role": "assistant", "content": ""},
                {"logprobs": None, "finish_reason": None},
                {"prompt_token_ids": None, "prompt_text": None},
            ),
        ),
        tokens=tuple(
            spoken(token, text, last=written.end is None and count == len(written.tokens))
            for count, (token, text) in enumerate(
                zip(written.tokens, written.texts, strict=True), 1
            )
        ),
        closing=tuple(closing()),
    )


def models(model: str) -> bytes:
    """`GET /v1/models`."""
    permission = {
        "id": "modelperm-scripted",
        "object": "model_permission",
        "created": CREATED,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    card = {
        "id": model,
        "object": "model",
        "created": CREATED,
        "owned_by": "vllm",
        "root": model,
        "parent": None,
        "max_model_len": MAX_MODEL_LEN,
        "permission": [permission],
    }
    return encode({"object": "list", "data": [card]})


class TokenizeAsked(msgspec.Struct):
    prompt: str | None = None
    messages: list[dict[str, object]] | None = None


def tokenize(raw: bytes) -> bytes:
    """`POST /tokenize`: one made-up id a word, the same word always the same."""
    try:
        asked = msgspec.json.decode(raw, type=TokenizeAsked)
    except msgspec.MsgspecError as error:
        raise Refused(400, "BadRequestError", None, str(error)) from error
    text = asked.prompt or " ".join(str(m.get("content")) for m in asked.messages or ())
    tokens = [sum(word.encode()) for word in text.split()]
    return encode(
        {
            "count": len(tokens),
            "max_model_len": MAX_MODEL_LEN,
            "tokens": tokens,
            "token_strs": None,
        },
    )
