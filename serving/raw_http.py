"""HTTP/1.1 at the level of the socket: whole requests in, responses out, wrong on purpose."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import httptools

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: on, zero seconds; closing then sends a reset instead of a goodbye."""


@dataclass(slots=True)
class Request:
    """A request while its bytes come in."""

    method: str = ""
    url: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    keep_alive: bool = False


class RequestReader:
    """httptools callbacks that put every complete request into `inbox`."""

    def __init__(self, inbox: asyncio.Queue[Request]) -> None:
        self._inbox = inbox
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._request = Request()

    def on_url(self, url: bytes) -> None:
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._request.raw += body

    def on_message_complete(self) -> None:
        self._request.method = self._parser.get_method().decode()
        self._request.keep_alive = self._parser.should_keep_alive()  # only known in here
        self._inbox.put_nowait(self._request)


class Reply:
    """One response on its way out."""

    def __init__(self, writer: asyncio.StreamWriter, *, keep_alive: bool) -> None:
        self._writer = writer
        self._keep_alive = keep_alive
        self.tokens = 0
        """How many tokens were sent so far."""

    async def whole(
        self,
        status: int,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        lengths = {"content-type": content_type, "content-length": str(len(body))}
        await self.raw(self._head(status, lengths | dict(headers or {})) + body)
        self.end_of_message()

    async def short(self, body: bytes, *, promised_bytes: int) -> None:
        """Less than the content-length says; what is to come never does."""
        head = {"content-type": "application/json", "content-length": str(promised_bytes)}
        await self.raw(self._head(200, head) + body)

    async def start(self, content_type: str) -> None:
        head = {"content-type": content_type, "transfer-encoding": "chunked"}
        await self.raw(self._head(200, head))

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")
        self.end_of_message()

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end_of_message(self) -> None:
        if not self._keep_alive:
            self._writer.close()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._writer.transport.abort()

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        connection = "keep-alive" if self._keep_alive else "close"
        lines = [f"HTTP/1.1 {status} {phrase(status)}", f"connection: {connection}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
