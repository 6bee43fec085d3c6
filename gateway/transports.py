"""Which transport an upstream gets: our own client for http://, aiohttp for https://."""

from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.aiohttp_transport import AiohttpTransport
from gateway.http_client import HttpTransport
from gateway.transport import Response, Transport


def transport_for(base_urls: Iterable[str], *, connect_s: float, max_connections: int) -> Transport:
    """One transport for all replicas of an upstream, whatever their schemes."""
    are_plain = {url.lower().startswith("http://") for url in base_urls}
    if are_plain == {True}:
        return HttpTransport(connect_s=connect_s, max_connections=max_connections)
    secure = AiohttpTransport(connect_s=connect_s, max_connections=max_connections)
    if are_plain == {False}:
        return secure
    return _ByScheme(HttpTransport(connect_s=connect_s, max_connections=max_connections), secure)


@dataclass(frozen=True, slots=True)
class _ByScheme:
    plain: Transport
    secure: Transport

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> Coroutine[Any, Any, Response]:
        return self._of(url).post(url, headers, body)

    def get(self, url: str, headers: Mapping[str, str]) -> Coroutine[Any, Any, Response]:
        return self._of(url).get(url, headers)

    def delete(self, url: str, headers: Mapping[str, str]) -> Coroutine[Any, Any, Response]:
        return self._of(url).delete(url, headers)

    async def aclose(self) -> None:
        await self.plain.aclose()
        await self.secure.aclose()

    def _of(self, url: str) -> Transport:
        return self.plain if url.lower().startswith("http://") else self.secure
