"""Upstreams over TLS: aiohttp behind the small interface."""

from collections.abc import Mapping
from io import BytesIO

import aiohttp

from gateway.transport import SHORTER_THAN_THE_ENGINES_S, Response, TransportError, in_words

_MOST_IN_ONE_WRITE = 1024 * 1024


class AiohttpTransport:
    """Keep-alive pool per upstream. Timeouts are the upstream's business, except connecting."""

    def __init__(self, *, connect_s: float, max_connections: int) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections, keepalive_timeout=SHORTER_THAN_THE_ENGINES_S
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        data = body if len(body) <= _MOST_IN_ONE_WRITE else BytesIO(body)
        return await self._request("POST", url, headers, data)

    async def get(self, url: str, headers: Mapping[str, str]) -> Response:
        return await self._request("GET", url, headers, None)

    async def delete(self, url: str, headers: Mapping[str, str]) -> Response:
        return await self._request("DELETE", url, headers, None)

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | BytesIO | None
    ) -> Response:
        try:
            return _AiohttpResponse(
                await self._session.request(
                    method, url, headers=headers, data=data, allow_redirects=False
                )
            )
        except (aiohttp.ClientError, OSError) as error:
            safe = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            raise TransportError(_in_words(error), safe=safe) from error

    async def aclose(self) -> None:
        await self._session.close()


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
