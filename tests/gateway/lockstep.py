"""An engine and a client that are canned bytes on sockets, and act when they are told to.

They cost as good as nothing, and what happens between them is the same in every run.
"""

import asyncio
import json
from typing import cast

TOKENS = 25


class Engine:
    """Answers at once, or streams what it is told to say, chunk by chunk."""

    def __init__(self) -> None:
        self.streaming = asyncio.Event()
        self._stream: asyncio.WriteTransport | None = None

    def asked(self, request: bytes, by: asyncio.WriteTransport) -> None:
        if b'"stream":true' not in request:
            by.write(WHOLE)
            return
        self._stream = by
        by.write(STREAM_HEAD + chunk(0))
        self.streaming.set()

    def say(self, data: bytes) -> None:
        """On the connection of the stream that runs."""
        assert self._stream is not None
        self._stream.write(data)


class EngineConnection(asyncio.Protocol):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._transport: asyncio.WriteTransport | None = None
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        if is_whole(self._request):
            assert self._transport is not None
            self._engine.asked(self._request, by=self._transport)
            self._request = b""


class Client(asyncio.Protocol):
    """Knows when a whole answer is here."""

    def __init__(self) -> None:
        self._answer = b""
        self._done: asyncio.Future[bytes] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        assert self._transport is not None
        self._answer = b""
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._answer += data
        assert self._done is not None
        if is_whole(self._answer) and not self._done.done():
            self._done.set_result(self._answer)

    def connection_lost(self, _: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"cut after {self._answer!r}"))


def is_whole(message: bytes) -> bool:
    head, blank, body = message.lower().partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head:
        return message.endswith(b"\r\n0\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return bool(blank) and len(body) >= length


def request(route: str, key: str, *, stream: bool) -> bytes:
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    body = json.dumps(
        {"model": route, "messages": messages, "stream": stream}, separators=(",", ":")
    )
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


def token(number: int) -> dict[str, object]:
    word = f" word{number}"
    top = {"token": word, "logprob": -0.01}
    return {**top, "bytes": list(word.encode()), "top_logprobs": [top]}


def whole() -> bytes:
    tokens = [token(number) for number in range(TOKENS)]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(str(one["token"]) for one in tokens)},
        "logprobs": {"content": tokens},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 9, "completion_tokens": TOKENS, "total_tokens": 9 + TOKENS}
    body = json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def chunk(number: int, finish: str | None = None) -> bytes:
    """One event of a stream in HTTP's chunk framing; a finish brings all that ends it."""
    said = token(number)
    choice = {
        "index": 0,
        "delta": {} if finish else {"content": said["token"]},
        "logprobs": None if finish else {"content": [said]},
        "finish_reason": finish,
    }
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [choice],
    }
    data = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
    if finish:
        data += b"data: [DONE]\n\n"
    framed = b"%x\r\n%s\r\n" % (len(data), data)
    return framed + b"0\r\n\r\n" if finish else framed


WHOLE = whole()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
