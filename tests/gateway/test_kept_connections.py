"""Connections that died while they were kept: what both transports do when they ask on one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.aiohttp_transport import AiohttpTransport
from gateway.http_client import HttpTransport
from gateway.transport import Transport, TransportError
from tests.gateway.raw_server import Peer, Play, RawServer, answering, closing

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture(params=[HttpTransport, AiohttpTransport])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    made: Transport = request.param(connect_s=5.0, max_connections=4)
    yield made
    await made.aclose()


async def whole(transport: Transport, server: RawServer, body: bytes = b"{}") -> bytes:
    return await (await transport.post(server.url, {}, body)).read()


def closing_after(answer: bytes) -> Play:
    """One answer; the next request finds the end of the connection."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.request()

    return play


def noting(asked: list[bytes], answer: bytes) -> Play:
    async def play(peer: Peer) -> None:
        while True:
            asked.append(await peer.request())
            await peer.send(answer)

    return play


@pytest.mark.parametrize("how", [Peer.close, Peer.reset])
async def test_a_kept_connection_that_died_before_a_byte_came_back_is_asked_again_on_a_new_one(
    transport: Transport, how: type[Peer]
) -> None:
    asked: list[bytes] = []

    async def once_then_gone(peer: Peer) -> None:
        asked.append(await peer.request())
        await peer.send(HELLO)
        asked.append(await peer.request())
        how(peer)  # type: ignore[arg-type,call-arg]

    body = b"again" * 300_000
    async with RawServer(once_then_gone, noting(asked, HELLO)) as server:
        assert await whole(transport, server) == b"hello"
        assert await whole(transport, server, body) == b"hello"

        assert server.connections == 2
    assert [each.endswith(body) for each in asked] == [False, True, True]


async def test_it_is_asked_again_only_once(transport: Transport) -> None:
    async with RawServer(closing_after(HELLO), closing(b"")) as server:
        await whole(transport, server)
        with pytest.raises(TransportError) as caught:
            await whole(transport, server)
        assert not caught.value.safe
        assert server.connections == 2


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 2", OK + b"content-le"])
async def test_it_is_not_asked_again_once_a_byte_came_back(
    transport: Transport, said: bytes
) -> None:
    async def a_byte(peer: Peer) -> None:
        await peer.request()
        await peer.send(HELLO)
        await peer.request()
        await peer.send(said)

    async with RawServer(a_byte) as server:
        await whole(transport, server)
        with pytest.raises(TransportError) as caught:
            await whole(transport, server)
        assert not caught.value.safe
        assert server.connections == 1


async def test_of_many_that_died_unnoticed_only_one_is_asked(transport: Transport) -> None:
    """An engine that was restarted: what else lies idle is no better."""
    gather = asyncio.Barrier(3)

    async def until_the_restart(peer: Peer) -> None:
        await peer.request()
        await gather.wait()
        await peer.send(HELLO)
        await peer.request()

    async with RawServer(*[until_the_restart] * 3, answering(HELLO)) as server:
        await asyncio.gather(*(whole(transport, server) for _ in range(3)))

        assert await whole(transport, server) == b"hello"
        assert server.connections == 4
