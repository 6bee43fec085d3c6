"""Upstreams over TLS: aiohttp behind the small interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from types import SimpleNamespace

import aiohttp

from gateway.transport import SHORTER_THAN_THE_ENGINES_S, Response, TransportError, in_words

_MOST_IN_ONE_WRITE = 1024 * 1024


class AiohttpTransport:
    """Keep-alive pool per upstream. Timeouts are the upstream's business, except connecting.

    A request that finds its kept-alive connection dead before a byte came back is sent again, once,
    on a new one, as by our own client; what else lies idle may be as dead, so that is not asked.
    """

    def __init__(self, *, connect_s: float, max_connections: int) -> None:
        self._session = _session(
            aiohttp.TCPConnector(
                limit=max_connections, keepalive_timeout=SHORTER_THAN_THE_ENGINES_S
            ),
            connect_s,
        )
        self._unpooled = _session(
            aiohttp.TCPConnector(limit=max_connections, force_close=True), connect_s
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        return await self._ask(_Request("POST", url, headers, body))

    async def get(self, url: str, headers: Mapping[str, str]) -> Response:
        return await self._ask(_Request("GET", url, headers))

    async def delete(self, url: str, headers: Mapping[str, str]) -> Response:
        return await self._ask(_Request("DELETE", url, headers))

    async def _ask(self, request: "_Request") -> Response:
        attempt = _Attempt()
        try:
            try:
                return await request.sent_by(self._session, attempt)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if not attempt.on_kept_connection or not _is_silent(error):
                    raise
                return await request.sent_by(self._unpooled, _Attempt())
        except (aiohttp.ClientError, OSError) as error:
            safe = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            raise TransportError(_in_words(error), safe=safe) from error

    async def aclose(self) -> None:
        await self._session.close()
        await self._unpooled.close()


@dataclass(slots=True)
class _Attempt:
    """What aiohttp tells of a request on its way."""

    on_kept_connection: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    async def sent_by(self, session: aiohttp.ClientSession, attempt: _Attempt) -> Response:
        body = self.body
        large = body is not None and len(body) > _MOST_IN_ONE_WRITE
        return _AiohttpResponse(
            await session.request(
                self.method,
                self.url,
                headers=self.headers,
                data=BytesIO(body) if body is not None and large else body,
                allow_redirects=False,
                trace_request_ctx=attempt,
            )
        )


def _session(connector: aiohttp.TCPConnector, connect_s: float) -> aiohttp.ClientSession:
    on_the_way = aiohttp.TraceConfig()
    on_the_way.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        trace_configs=[on_the_way],
    )


async def _note_reuse(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _reused: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.on_kept_connection = True


def _is_silent(error: aiohttp.ClientError) -> bool:
    """Whether not a byte of an answer came: aiohttp shows what it has read of a head.

    Of one that a reset ends it shows nothing, but an engine that answers does not reset.
    """
    match error:
        case aiohttp.ClientConnectorError():
            return False
        case aiohttp.ServerDisconnectedError():
            return isinstance(error.message, str)
        case _:
            return True


class _AiohttpResponse:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read_some(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(_in_words(error)) from error

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(_in_words(error)) from error

    def close(self) -> None:
        self._response.close()


def _in_words(error: Exception) -> str:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "no connection within the connect timeout"
        case aiohttp.ClientConnectorError():
            return f"connection failed: {in_words(error.os_error)}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer"
        case aiohttp.ClientPayloadError():
            return "the connection was closed in the middle of the answer"
        case _:
            return f"{type(error).__name__}: {error}"
