"""Our own HTTP/1.1 client for plain-HTTP upstreams: few calls and few allocations a request."""

import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from gateway.http_connection import SLICE_BYTES
from gateway.http_pool import Pool
from gateway.http_response import HttpResponse
from gateway.transport import TransportError

_HTTP_PORT = 80
_MOST_TARGETS = 256
_MOST_LINES = 256
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_OURS = frozenset({"connection", "content-length", "host", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a URL leads, and the bytes that every POST to it with these headers begins with.

    `start`: those that it begins with whatever its headers are.
    """

    pool: Pool
    start: bytes
    headers: dict[str, str]
    head: bytes


class HttpTransport:
    """One pool for each host and port; `max_connections` bounds each of them.

    A request that finds its kept-alive connection dead before a single byte came back is sent
    again, once, on a new one: the engine's idle timeout and our request have crossed. A GET does
    not wait for a slot: a probe that queued behind the traffic would call a busy engine dead.
    """

    def __init__(self, *, connect_s: float, max_connections: int) -> None:
        self._connect_s = connect_s
        self._max_connections = max_connections
        self._targets: dict[str, _Target] = {}
        self._pools: dict[tuple[str, int], Pool] = {}
        self._closed = False

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> Coroutine[Any, Any, HttpResponse]:
        """Not a coroutine itself: it costs one less to be awaited through."""
        target = self._targets.get(url)
        if target is None or target.headers != headers:
            target = self._target(url, headers)
        size = len(body)
        if size <= SLICE_BYTES:
            return _exchange(target.pool, b"%b%d\r\n\r\n%b" % (target.head, size, body))
        return _exchange(target.pool, b"%b%d\r\n\r\n" % (target.head, size), body)

    async def get(self, url: str, headers: Mapping[str, str]) -> HttpResponse:
        return await self._bodiless("GET", url, headers)

    async def delete(self, url: str, headers: Mapping[str, str]) -> HttpResponse:
        return await self._bodiless("DELETE", url, headers)

    async def _bodiless(self, method: str, url: str, headers: Mapping[str, str]) -> HttpResponse:
        pool, start = self._place(method, url)
        head = start + _lines(headers) + b"\r\n"
        return await _exchange(pool, head, past_the_bound=True)

    async def aclose(self) -> None:
        self._closed = True
        for pool in self._pools.values():
            await pool.aclose()

    def _target(self, url: str, headers: Mapping[str, str]) -> _Target:
        known = self._targets.get(url)
        pool, start = self._place("POST", url) if known is None else (known.pool, known.start)
        head = start + _lines(headers) + b"content-length: "
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        target = self._targets[url] = _Target(pool, start, dict(headers), head)
        return target

    def _place(self, method: str, url: str) -> tuple[Pool, bytes]:
        """The pool, the request line and the Host header."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _HTTP_PORT
        except ValueError as error:
            raise TransportError(f"not a URL: {url!r}: {error}", safe=True) from error
        if parts.scheme != "http" or not host or parts.username is not None:
            raise TransportError(f"{url!r} is not of the form http://host[:port]/path", safe=True)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not _VISIBLE.fullmatch(path) or not _VISIBLE.fullmatch(host):
            raise TransportError(f"{url!r} has characters that must be escaped", safe=True)
        if self._closed:
            raise TransportError("this transport is closed", safe=True)
        place = (host, port)
        if place not in self._pools:
            self._pools[place] = Pool(
                host, port, connect_s=self._connect_s, max_connections=self._max_connections
            )
        shown = f"[{host}]" if ":" in host else host
        named = shown if port == _HTTP_PORT else f"{shown}:{port}"
        return self._pools[place], f"{method} {path} HTTP/1.1\r\nhost: {named}\r\n".encode()


async def _exchange(
    pool: Pool, data: bytes, body: bytes = b"", *, past_the_bound: bool = False
) -> HttpResponse:
    idle = pool.idle
    connection = idle.pop() if idle else await pool.take(past_the_bound=past_the_bound)
    again = False
    while True:
        response = connection.begin(data)
        try:
            if body:
                await connection.send(body)
            await response.begun
        except BaseException:
            response.close()
            raise
        error = response.error
        if error is None or response.status:
            return response
        if again or not error.safe:
            raise error
        again = True
        connection = await pool.take(past_the_bound=past_the_bound, fresh=True)


def _lines(headers: Mapping[str, str]) -> bytes:
    return b"".join([_line(name, value) for name, value in headers.items()])


@lru_cache(maxsize=_MOST_LINES)
def _line(name: str, value: str) -> bytes:
    """A header as it is sent. Most are the same in every request."""
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        raise TransportError(f"header {name!r} cannot be set here", safe=True)
    if not _VALUE.fullmatch(value):
        raise TransportError(f"header {name!r} has a value with control characters", safe=True)
    try:
        return f"{name}: {value}\r\n".encode("latin-1")
    except UnicodeEncodeError as error:
        raise TransportError(f"header {name!r} is not Latin-1: {error}", safe=True) from error
