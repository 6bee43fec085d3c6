"""What an engine's refusal means: status, words and code, told as one of our errors.

Engines agree on little here: vLLM's codes are integers, llama.cpp names its own types, a proxy in
front of either sends HTML or nothing at all, and some put an error into a 200.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.errors import (
    ContentFiltered,
    ContextTooLong,
    NoEndpoint,
    UpstreamCut,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnavailable,
)
from gateway.retry import retry_after_s
from gateway.wire import UNREADABLE

Refusal = UpstreamFailed | UpstreamRejected

_THE_CLIENTS = frozenset({400, 413, 422, 429})
"""Statuses that the client can do something about; all others are between us and the engine."""
_BAD_REQUEST, _NOT_FOUND, _TOO_MANY, _UNAVAILABLE = 400, 404, 429, 503
_ERRORS = range(400, 600)

_TOO_LONG_NAMES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG_WORDS = re.compile(
    r"maximum context length|exceeds? the (available )?context|context window"
    r"|exceeds the max_model_len",
    re.IGNORECASE,
)
_FILTER_NAMES = frozenset(
    {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"}
)
_WORD = re.compile(r"[A-Za-z][\w.-]{0,63}")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_SAID_NOTHING = "no explanation given"
_MOST_BYTES, _MOST_WORDS = 4096, 200


@dataclass(frozen=True, slots=True)
class Said:
    """What the body of an error says, whatever its shape. `code`: as text, an integer's too."""

    message: str
    param: str | None = None
    type: str | None = None
    code: str | None = None


def read_error(body: bytes) -> Said:
    """Read OpenAI's shape, FastAPI's, a bare string, HTML, or whatever it is."""
    try:
        found = _ENVELOPE.decode(body)
    except UNREADABLE:
        return Said(in_words(body))
    inner = found.error
    match inner:
        case _Inner():
            code = None if inner.code is None else str(inner.code)
            return Said(inner.message or _SAID_NOTHING, inner.param, inner.type, code)
        case str():
            return Said(inner or _SAID_NOTHING)
        case None:
            code = None if found.code is None else str(found.code)
            message = found.message or found.detail_text() or _SAID_NOTHING
            return Said(message, found.param, found.type, code)


def refusal(
    upstream: str, status: int, headers: Mapping[str, str], body: bytes, *, now_unix_s: float
) -> Refusal:
    """The error that an answer with another status than 200 stands for."""
    said = read_error(body)
    later_s = retry_after_s(headers.get("retry-after"), now_unix_s)
    return _meaning(upstream, status, said, later_s)


def looks_whole(body: bytes) -> bool:
    """Whether nothing shows that is wrong with a whole answer that came with status 200."""
    return body.startswith(b"{") and body.endswith(b"}") and b'"error"' not in body[:12]


def disguised(upstream: str, headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """What is wrong with a whole answer that came with status 200; None: nothing after all.

    A JSON object under another content type is taken for what it is.
    """
    if not body.startswith(b"{") and not body.lstrip().startswith(b"{"):  # DeepSeek pads with lines
        kind = headers.get("content-type", "no content type").partition(";")[0]
        return UpstreamFailed(
            upstream, f"answered with {in_words(body)} ({kind}), not with a JSON object"
        )
    if not body.endswith(b"}") and not body.rstrip().endswith(b"}"):
        return UpstreamCut(upstream, "the answer ended in the middle of its JSON")
    return error_event(upstream, body)


def error_event(upstream: str, payload: bytes) -> Refusal | None:
    """The error that an event of a stream, or a whole body, is; None: it is none.

    An error object starts with its `error`; an answer with other keys, or with a null there.
    """
    if b'"error"' not in payload[:12] or b"null" in payload[:16]:
        return None
    said = read_error(payload)
    status = int(said.code) if said.code is not None and said.code.isdigit() else 0
    return _meaning(upstream, status if status in _ERRORS else 0, said, None)


def _meaning(upstream: str, status: int, said: Said, later_s: float | None) -> Refusal:
    names = {said.type, said.code}
    if names & _TOO_LONG_NAMES or (status in _THE_CLIENTS and _TOO_LONG_WORDS.search(said.message)):
        return ContextTooLong(upstream, said.message, param=said.param)
    if status == _BAD_REQUEST and names & _FILTER_NAMES:
        return ContentFiltered(upstream, said.message, param=said.param)
    if status in _THE_CLIENTS or (status == _NOT_FOUND and "esponse with id" in said.message):
        code = said.code if said.code and _WORD.fullmatch(said.code) else None
        rejected = UpstreamRejected(upstream, status, said.message, param=said.param, code=code)
        rejected.retry_after_s = later_s if status == _TOO_MANY else None
        return rejected
    return _failure(upstream, status, said, later_s)


def _failure(upstream: str, status: int, said: Said, later_s: float | None) -> UpstreamFailed:
    told = f"status {status}: {said.message}" if status else said.message
    match status:
        case 401 | 403:
            return UpstreamFailed(
                upstream, f"the engine refuses our key: set upstreams.{upstream}.api_key ({told})"
            )
        case 404 if "not support" not in said.message and (
            said.param == "model" or "model" in said.message
        ):
            return UpstreamFailed(
                upstream,
                f"the engine does not know the model: set upstreams.{upstream}.model to one of "
                f"its GET /models ({told})",
            )
        case 404 | 405 | 501:
            return NoEndpoint(upstream, told)
        case 408 | 504:
            return UpstreamTimedOut(upstream, told)
        case 503:
            return UpstreamUnavailable(upstream, told, retry_after_s=later_s)
        case _:
            return UpstreamFailed(upstream, told)


def in_words(body: bytes) -> str:
    """A body that is no JSON, fit for an error message."""
    if not (text := body[:_MOST_BYTES].decode(errors="replace").strip()):
        return "an empty body"
    if not text.startswith("<"):
        return text[:_MOST_WORDS]
    title = _TITLE.search(text)
    words = " ".join(_TAG.sub(" ", title[1] if title else text).split())
    return f'an HTML page "{words[:_MOST_WORDS]}"'


class _Inner(msgspec.Struct):
    message: str | None = None
    param: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Envelope(msgspec.Struct):
    error: _Inner | str | None = None
    message: str | None = None
    param: str | None = None
    type: str | None = None
    code: str | int | None = None
    detail: msgspec.Raw = msgspec.Raw(b"null")

    def detail_text(self) -> str:
        raw = bytes(self.detail)
        return "" if raw == b"null" else raw.decode(errors="replace").strip('"')


_ENVELOPE = msgspec.json.Decoder(_Envelope)
