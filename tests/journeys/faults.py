"""The faults that an engine can have, by name, as the journeys through them script them."""

from dataclasses import dataclass
from typing import Any

from serving.scripts import (
    Behaviour,
    Cut,
    ErrorEvent,
    Events,
    Garbage,
    Hang,
    Json,
    Reset,
    Status,
    Truncated,
    WrongType,
    content_filtered,
    error_object,
    html_page,
    malformed_json,
    malformed_sse,
    rate_limited,
    unfinished,
)

IMPATIENT: dict[str, Any] = {
    "timeouts": {"connect_s": 2.0, "first_token_s": 0.3, "idle_s": 0.3, "total_s": 0.6}
}
"""For hangs: every one of them ends by a timeout, and soon."""


@dataclass(frozen=True)
class Fault:
    """`status` and `code`: what a client reads who asked for this engine and no other."""

    script: Behaviour
    status: int = 502
    code: str = "upstream_failed"
    times_out: bool = False


BEFORE_THE_FIRST_BYTE = {
    "429": Fault(rate_limited(), 429, "rate_limit_exceeded"),
    "429 with Retry-After": Fault(rate_limited("7"), 429, "rate_limit_exceeded"),
    "500": Fault(Status(500)),
    "502": Fault(Status(502)),
    "503": Fault(Status(503), 503, "upstream_unavailable"),
    "a proxy's page with 502": Fault(html_page(502)),
    "a page with 200": Fault(html_page()),
    "reset before the headers": Fault(Reset()),
    "hang before the headers": Fault(Hang(), 504, "upstream_timed_out", times_out=True),
    "an error in a 200": Fault(error_object()),
    "not HTTP": Fault(Garbage(b"\x16\x03\x01 this is no HTTP\r\n\r\n")),
    "content filter": Fault(content_filtered(), 400, "content_filter"),
    "wrong content type": Fault(WrongType()),
}
"""Both in a whole answer and in a stream, where they come with its first event."""

WHOLE = {
    "content-length too long": Fault(Truncated(), code="upstream_cut"),
    "chunks cut": Fault(Cut(after=20, clean=False), code="upstream_cut"),
    "reset in the body": Fault(Reset(after=20), code="upstream_cut"),
    "hang in the body": Fault(Hang(after=20), 504, "upstream_timed_out", times_out=True),
    "body ends early": Fault(Cut(after=20), code="upstream_cut"),
    "an empty body": Fault(Cut(after=0)),
    "malformed JSON": Fault(malformed_json(), code="upstream_cut"),
    "malformed SSE": Fault(malformed_sse()),
    "no choices": Fault(Json({"id": "x", "object": "chat.completion", "choices": []})),
    "a JSON array": Fault(Json([])),
}
"""Of a whole answer, all of which is before the first byte to the client."""

FIRST_EVENT = {
    "nothing but the end": Fault(Events()),
    "headers and then the end": Fault(Garbage(b"", after_headers=True), code="upstream_cut"),
    "malformed JSON at once": Fault(Garbage(b'data: {"choices": [{"ind\n\n', after_headers=True)),
    "malformed SSE at once": Fault(
        Garbage(b"this is no event\n\n\xff\xfe\n\n", after_headers=True), code="upstream_cut"
    ),
}
"""Of a stream, in place of its first event."""

AFTER_THE_ROLE = {
    "reset": Fault(Reset(after=0), code="upstream_cut"),
    "cut without [DONE]": Fault(Cut(after=0), code="upstream_cut"),
    "an error event": Fault(ErrorEvent(after=0)),
    "malformed JSON": Fault(malformed_json()),
    "malformed SSE": Fault(malformed_sse()),
}
"""Of a stream, between its role chunk and its first word: nothing has been told yet."""

MID_STREAM: dict[str, Behaviour] = {
    "reset": Reset(after=3),
    "cut without [DONE]": Cut(after=3),
    "cut with the connection": Cut(after=3, clean=False),
    "an error event": ErrorEvent(after=3),
    "malformed JSON": malformed_json(after=3),
    "malformed SSE": malformed_sse(after=3),
    "no finish_reason": unfinished("a", "b", "c", "d"),
    "hang": Hang(after=3),
}
"""Of a stream, when the client has read some of it."""
