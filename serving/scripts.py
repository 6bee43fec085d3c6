"""Scripts: what a scripted engine does with one request, written down before it happens.

    Say                     answer, perhaps slowly, perhaps pausing until told to go on
    Choices                 answer with n > 1 choices that differ
    Echo                    repeat what was asked
    Json, Events            answer with exactly this body, these events

And every way in which it can fail, each under a name. `after` counts the tokens that were sent
before it; None means that it happens before the first byte of the response.

| what happens                             | script                                             |
|------------------------------------------|----------------------------------------------------|
| 429, with and without Retry-After        | `rate_limited(retry_after="2")`, `rate_limited()`  |
| 500, 502, 503, any status                | `Status(500)`, `Status(503, headers={...})`        |
| a proxy's HTML page with an error status | `html_page(502)`                                   |
| connection refused                       | `await engine.close()`; `engine.start()` mends it  |
| reset before the headers                 | `Reset()`                                          |
| reset in the middle of the body          | `Reset(after=2)`                                   |
| hang before the headers                  | `Hang()`                                           |
| hang in the middle of the stream         | `Hang(after=2)`                                    |
| the stream ends without [DONE]           | `Cut(after=2)`                                     |
| and the connection with it               | `Cut(after=2, clean=False)`                        |
| ends properly, without a finish_reason   | `unfinished("All", " is")`                         |
| malformed JSON                           | `malformed_json(after=2)`                          |
| malformed SSE                            | `malformed_sse(after=2)`                           |
| HTML with status 200                     | `html_page()`                                      |
| a 200 that carries an error object       | `error_object()`                                   |
| an event that carries an error object    | `ErrorEvent(after=2)`                              |
| a whole body shorter than promised       | `Truncated(missing_bytes=10)`                      |
| a whole body, its chunks cut             | `Cut(after=20, clean=False)` on a whole answer     |
| JSON for a stream, SSE for a whole       | `WrongType()`                                      |
| a slow drip, token by token              | `Say(..., pause_each=True)`, `engine.resume()`     |
| a slow drip, byte by byte                | `Drip(bytes_at_a_time=7)`, `engine.resume()`       |
| flapping                                 | `*flapping()`: fails, answers, fails, answers      |
| the context is too small                 | `ScriptedEngine(context_tokens=64)`                |
| content filter                           | `content_filtered()`                               |
| no HTTP at all                           | `Garbage(b"...")`                                  |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.say import (
    SENSIBLE,
    SURE,
    UNSURE,
    Choices,
    Echo,
    Events,
    Json,
    Received,
    Say,
    Tok,
    ToolCall,
)

__all__ = [
    "SENSIBLE",
    "SURE",
    "UNSURE",
    "Behaviour",
    "Breakage",
    "Choices",
    "Cut",
    "Distortion",
    "Drip",
    "Echo",
    "ErrorEvent",
    "Events",
    "Fault",
    "Garbage",
    "Hang",
    "Inserted",
    "Json",
    "Page",
    "Received",
    "Reset",
    "Say",
    "Status",
    "Tok",
    "ToolCall",
    "Truncated",
    "WrongType",
    "content_filtered",
    "error_object",
    "flapping",
    "html_page",
    "malformed_json",
    "malformed_sse",
    "rate_limited",
    "unfinished",
]

ENGINE_ERROR = "EngineCore encountered an issue. See stack trace (above) for the root cause."
HTML = b"<html><head><title>Welcome</title></head><body>It works!</body></html>\n"


@dataclass(frozen=True, slots=True)
class Status:
    """An error; the body is the engine's own unless one is given."""

    code: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Fall silent and stay connected until the client has had enough."""

    after: int | None = None
    of: Say = SENSIBLE


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection (TCP RST)."""

    after: int | None = None
    of: Say = SENSIBLE


@dataclass(frozen=True, slots=True)
class Cut:
    """End the stream without finish reason, usage or [DONE], as if that were all.

    Of an answer that is not streamed, `after` bytes are sent.
    """

    after: int = 0
    of: Say = SENSIBLE
    clean: bool = True
    """False: the connection is closed without the end marker of the chunked body."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """A whole answer whose content-length promises more than comes; a stream is cut instead."""

    missing_bytes: int = 10
    of: Say = SENSIBLE


@dataclass(frozen=True, slots=True)
class Inserted:
    """A stream that has these bytes after so many tokens, and then goes on as if nothing were.

    A whole answer is these bytes alone.
    """

    raw: bytes
    after: int = 0
    of: Say = SENSIBLE
    whole: bytes | None = None
    """What a whole answer is, where it is not `raw`."""


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """An error in the middle of a stream, told as the engine tells it; a whole answer is a 500.

    vLLM and llama.cpp send an event with an error object; vLLM sends [DONE] after it. On
    /v1/responses it is OpenAI's `error` event, or, where `failed`, `response.failed`: vLLM breaks
    the connection there, which is `Cut(clean=False)`.
    """

    after: int = 0
    of: Say = SENSIBLE
    message: str = ENGINE_ERROR
    failed: bool = False


@dataclass(frozen=True, slots=True)
class WrongType:
    """A whole JSON answer where a stream was asked for, a stream where it was not."""

    of: Say = SENSIBLE


@dataclass(frozen=True, slots=True)
class Drip:
    """The body in pieces of so many bytes, each held until `engine.resume()`."""

    bytes_at_a_time: int
    of: Say = SENSIBLE


@dataclass(frozen=True, slots=True)
class Garbage:
    """These bytes in place of the response; or, `after_headers`, in place of its body."""

    raw: bytes
    after_headers: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A body of some other type than JSON or SSE."""

    raw: bytes
    content_type: str
    code: int = 200


Breakage = Status | Hang | Reset | Cut | Truncated | ErrorEvent
"""The answer does not come to its end, or there is none."""
Distortion = Inserted | WrongType | Drip | Garbage | Page
"""Something comes that is not what it should be, or not as fast."""
Fault = Breakage | Distortion
Behaviour = Say | Choices | Echo | Json | Events | Fault


def rate_limited(retry_after: str | None = None) -> Status:
    """`retry_after`: seconds or an HTTP date, as it is sent."""
    return Status(429, headers={} if retry_after is None else {"retry-after": retry_after})


def html_page(code: int = 200) -> Page:
    return Page(HTML, "text/html", code)


def unfinished(*tokens: Tok | str) -> Say:
    """All of it comes, [DONE] too, and no choice ever gets a finish_reason."""
    return Say(*(tokens or SENSIBLE.tokens), finish_reason=None)


def malformed_json(after: int = 0, of: Say = SENSIBLE) -> Inserted:
    """An event that is no JSON; a whole answer that stops being JSON half-way."""
    return Inserted(
        b'data: {"choices": [{"index": 0, "del\n\n',
        after,
        of,
        whole=b'{"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"ind',
    )


def malformed_sse(after: int = 0, of: Say = SENSIBLE) -> Inserted:
    """Lines that are no fields of an event, and bytes that are no text."""
    return Inserted(b"\xff\xfe\x00 not an event\nnor this\n\n: \x80\n\ndata: \xc3(\n\n", after, of)


def error_object(message: str = ENGINE_ERROR) -> Json:
    """A 200 whose body is an error."""
    error = {"message": message, "type": "InternalServerError", "param": None, "code": 500}
    return Json({"error": error})


def flapping(times: int = 2, *, good: Say = SENSIBLE, bad: Fault | None = None) -> list[Behaviour]:
    """Bad and good in turn, so many of each, good last."""
    return [bad or Status(503), good] * times


def content_filtered() -> Status:
    """A 400 of a provider that will not read such a prompt."""
    error = {
        "message": "The response was filtered due to the prompt triggering the content policy.",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "content_filter",
    }
    return Status(400, {"error": error})
