"""A request that is cancelled, wherever it waits, hangs up and gives its slot back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from gateway.http_client import HttpTransport
from gateway.http_pool import Pool
from tests.gateway.raw_server import Peer, RawServer, answering

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
async def client() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(connect_s=5.0, max_connections=1)
    yield made
    await made.aclose()


def pool_of(client: HttpTransport) -> Pool:
    (pool,) = client._pools.values()
    return pool


async def whole(client: HttpTransport, url: str, body: bytes = b"{}") -> bytes:
    return await (await client.post(url, {}, body)).read()


Doing = Callable[[HttpTransport, str], Coroutine[Any, Any, None]]


async def _reading_some(client: HttpTransport, url: str) -> None:
    response = await client.post(url, {}, b"{}")
    try:
        while await response.read_some():
            pass
    finally:
        response.close()


async def _reading_all(client: HttpTransport, url: str) -> None:
    response = await client.post(url, {}, b"{}")
    try:
        await response.read()
    finally:
        response.close()


async def _sending(client: HttpTransport, url: str) -> None:
    await client.post(url, {}, bytes(64 * 1024 * 1024))


async def _asking(client: HttpTransport, url: str) -> None:
    await client.post(url, {}, b"{}")


@pytest.mark.parametrize(
    ("doing", "said"),
    [
        (_asking, b""),
        (_asking, b"HTTP/1.1 200 O"),
        (_asking, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (_reading_some, CHUNKED + b"3\r\none\r\n"),
        (_reading_all, CHUNKED + b"3\r\none\r\n"),
    ],
)
async def test_a_cancelled_request_hangs_up(
    client: HttpTransport, doing: Doing, said: bytes
) -> None:
    heard = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(said)
        heard.set()
        await peer.gone()

    async with RawServer(play, answering(HELLO)) as server, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(doing(client, server.url))
        await heard.wait()
        for _ in range(5):  # some steps further, until it waits for more
            await asyncio.sleep(0)
        task.cancel()
        await server.all_left()

        assert pool_of(client)._slots_taken == 0
        assert await whole(client, server.url) == b"hello"


async def test_a_request_that_is_cancelled_while_it_is_sent_hangs_up(
    client: HttpTransport,
) -> None:
    begun = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.head()
        begun.set()
        await peer.gone()

    async with RawServer(play) as server, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_sending(client, server.url))
        await begun.wait()
        task.cancel()
        await server.all_left()

        assert pool_of(client)._slots_taken == 0


async def test_a_request_that_is_cancelled_while_it_connects_gives_its_slot_back(
    client: HttpTransport,
) -> None:
    async with RawServer(answering(HELLO)) as server, asyncio.TaskGroup() as tasks:
        for steps in range(6):
            task = tasks.create_task(whole(client, server.url))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            for connection in list(pool_of(client).idle) if client._pools else []:
                connection.discard()

        assert pool_of(client)._slots_taken == 0
        assert await whole(client, server.url) == b"hello"
