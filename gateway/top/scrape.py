"""Fetches a gateway's metrics."""

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import httpx

from gateway.top.look import Look, Unreachable, read


class Scrape:
    """`now_s` is monotonic seconds. Called for every look."""

    def __init__(self, client: httpx.AsyncClient, url: str, now_s: Callable[[], float]) -> None:
        self._client = client
        self._now_s = now_s
        self.url = metrics_url(url)

    async def __call__(self) -> Look:
        """Raises Unreachable or NotMetrics."""
        try:
            response = await self._client.get(self.url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = str(error) or type(error).__name__
            raise Unreachable(f"{told}; is a gateway running there? (tutelage up)") from error
        if response.status_code != httpx.codes.OK:
            raise Unreachable(f"answered {response.status_code}, not 200")
        return read(response.text, self._now_s())


def metrics_url(url: str) -> str:
    """Of a gateway, whose URL may be given as clients have it, with `/v1`."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    path = parts.path.rstrip("/").removesuffix("/metrics").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/metrics", "", ""))
