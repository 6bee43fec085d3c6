"""What every transport promises, held by both: aiohttp's and ours, on both event loops."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from gateway.aiohttp_transport import AiohttpTransport
from gateway.http_client import HttpTransport
from gateway.transport import Transport, TransportError
from tests.gateway.raw_server import Peer, RawServer, answering, closing

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
STREAM = CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
KEY = {"authorization": "Bearer k"}


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture(params=[HttpTransport, AiohttpTransport])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    made: Transport = request.param(connect_s=5.0, max_connections=4)
    yield made
    await made.aclose()


async def get_whole(transport: Transport, server: RawServer) -> bytes:
    response = await transport.post(f"{server.url}/chat", KEY, b"{}")
    return await response.read()


@contextmanager
def breaks() -> Iterator[None]:
    with pytest.raises(TransportError) as caught:
        yield
    assert str(caught.value)
    assert not caught.value.safe


async def test_what_is_sent_is_what_the_engine_gets(transport: Transport) -> None:
    asked: list[bytes] = []

    async def play(peer: Peer) -> None:
        while True:
            asked.append(await peer.request())
            await peer.send(HELLO)

    async with RawServer(play) as server:
        response = await transport.post(f"{server.url}/chat?a=b", KEY, b'{"x":1}')

        assert response.status == 200
        assert response.headers["Content-TYPE"] == "text/plain"
        assert response.headers.get("x-none") is None
        assert await response.read() == b"hello"

        assert await (await transport.get(f"{server.url}/models", KEY)).read() == b"hello"
        assert await (await transport.delete(f"{server.url}/r/1", KEY)).read() == b"hello"

    head, _, body = asked[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert head.startswith(b"POST /v1/chat?a=b HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}".encode() in lines
    assert b"authorization: bearer k" in lines
    assert b"content-length: 7" in lines
    assert b"accept-encoding" not in head.lower()
    assert body == b'{"x":1}'
    assert asked[1].startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert asked[2].startswith(b"DELETE /v1/r/1 HTTP/1.1\r\n")


async def test_a_hundred_answers_whole_or_streamed_need_one_connection(
    transport: Transport,
) -> None:
    async with RawServer(answering(*[HELLO, STREAM] * 50)) as server:
        for _ in range(100):
            assert await get_whole(transport, server) == b"hello"

        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (HELLO, b"hello"),
        (OK + b"content-length: 0\r\n\r\n", b""),
        (STREAM, b"hello"),
        (CHUNKED + b'5;a=1;b="x"\r\nhello\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n', b"hello"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO, b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + STREAM, b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", b""),
        (OK + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08", b"\x1f\x8b\x08"),
        (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
)
async def test_the_body_ends_where_it_says_and_the_connection_serves_again(
    transport: Transport, answer: bytes, body: bytes
) -> None:
    async with RawServer(answering(answer, HELLO)) as server:
        assert await get_whole(transport, server) == body
        assert await get_whole(transport, server) == b"hello"

        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
async def test_a_connection_that_the_engine_closes_is_not_used_again(
    transport: Transport, answer: bytes
) -> None:
    async with RawServer(closing(answer)) as server:
        for _ in range(3):
            assert await get_whole(transport, server) == b"hello"

        assert server.connections == 3


async def test_connection_close_is_honoured_though_the_engine_leaves_it_open(
    transport: Transport,
) -> None:
    last = OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello"
    async with RawServer(answering(last)) as server:
        for _ in range(2):
            assert await get_whole(transport, server) == b"hello"

        assert server.connections == 2
        await server.all_left()


async def test_a_stream_is_read_as_it_comes(transport: Transport) -> None:
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for piece in (b"one", b"two"):
            await go_on.wait()
            go_on.clear()
            await peer.send(b"3\r\n" + piece + b"\r\n")
        await go_on.wait()
        await peer.send(b"0\r\n\r\n")

    async with RawServer(play) as server:
        response = await transport.post(server.url, KEY, b"{}")
        read = []
        for _ in range(3):
            go_on.set()
            read.append(await response.read_some())

        assert read == [b"one", b"two", b""]
        assert await response.read_some() == b""


async def test_read_brings_what_read_some_left(transport: Transport) -> None:
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"3\r\none\r\n")
        await go_on.wait()
        await peer.send(b"3\r\ntwo\r\n0\r\n\r\n")

    async with RawServer(play) as server:
        response = await transport.post(server.url, KEY, b"{}")
        assert await response.read_some() == b"one"
        go_on.set()
        assert await response.read() == b"two"


async def test_closing_hangs_up_and_wakes_the_reader(transport: Transport) -> None:
    left = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"3\r\none\r\n")
        await peer.gone()
        left.set()

    async with RawServer(play) as server:
        response = await transport.post(server.url, KEY, b"{}")
        assert await response.read_some() == b"one"
        asyncio.get_running_loop().call_soon(response.close)
        with breaks():
            await response.read_some()
        response.close()
        await left.wait()


async def test_closing_after_the_end_leaves_the_connection_alone(transport: Transport) -> None:
    async with RawServer(answering(HELLO)) as server:
        first = await transport.post(server.url, KEY, b"{}")
        await first.read()
        second = await transport.post(server.url, KEY, b"{}")
        first.close()

        assert await second.read() == b"hello"
        assert server.connections == 1


async def test_a_refused_connection_is_told_in_words_and_is_safe(transport: Transport) -> None:
    async with RawServer(answering(HELLO)) as server:
        pass

    with pytest.raises(TransportError, match="connection failed: Connection refused") as caught:
        await transport.post(server.url, KEY, b"{}")
    assert caught.value.safe


@pytest.mark.parametrize("how", [Peer.close, Peer.reset, Peer.half_close])
@pytest.mark.parametrize("said", [b"", b"HTT", OK, OK + b"content-length: 5\r\n"])
async def test_an_engine_that_leaves_before_its_head_is_an_error(
    transport: Transport, said: bytes, how: type[Peer]
) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(said)
        how(peer)  # type: ignore[arg-type,call-arg]
        await peer.gone()

    async with RawServer(play) as server:
        with breaks():
            await transport.post(server.url, KEY, b"{}")


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"content-length: 5\r\n\r\nhel",
        CHUNKED,
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"3\r\nhel\r\n",
        CHUNKED + b"3\r\nhel\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("how", [Peer.close, Peer.reset, Peer.half_close])
async def test_an_engine_that_leaves_in_mid_body_is_an_error(
    transport: Transport, answer: bytes, how: type[Peer]
) -> None:
    head_is_read = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await head_is_read.wait()
        how(peer)  # type: ignore[arg-type,call-arg]
        await peer.gone()

    async with RawServer(play) as server:
        response = await transport.post(server.url, KEY, b"{}")
        head_is_read.set()
        assert response.status == 200
        with breaks():
            await response.read()
        response.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>busy</html>\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        OK + b"content-length: five\r\n\r\nhello",
        OK + b"no colon here\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\nhello",
    ],
)
async def test_a_head_that_is_not_http_is_an_error(transport: Transport, answer: bytes) -> None:
    async with RawServer(closing(answer), answering(HELLO)) as server:
        with breaks():
            await transport.post(server.url, KEY, b"{}")
        assert await get_whole(transport, server) == b"hello"


async def test_a_chunk_that_is_not_one_is_an_error(transport: Transport) -> None:
    async with RawServer(closing(CHUNKED + b"3\r\none\r\nzz\r\n"), answering(HELLO)) as server:
        with breaks():
            response = await transport.post(server.url, KEY, b"{}")
            await response.read()
        assert await get_whole(transport, server) == b"hello"


async def test_a_large_answer_arrives_whole(transport: Transport) -> None:
    body = bytes(range(256)) * 16 * 1024  # 4 MiB
    answer = OK + b"content-length: %d\r\n\r\n" % len(body) + body

    async with RawServer(answering(answer)) as server:
        assert await get_whole(transport, server) == body
        response = await transport.post(server.url, KEY, b"{}")
        pieces = []
        while data := await response.read_some():
            pieces.append(data)

        assert b"".join(pieces) == body
        assert server.connections == 1


async def test_a_large_request_arrives_whole(transport: Transport) -> None:
    body = bytes(range(256)) * 16 * 1024  # 4 MiB
    asked: list[bytes] = []

    async def play(peer: Peer) -> None:
        while True:
            asked.append(await peer.request())
            await peer.send(HELLO)

    async with RawServer(play) as server:
        for _ in range(2):
            response = await transport.post(server.url, KEY, body)
            assert await response.read() == b"hello"

        assert server.connections == 1
    assert [request.partition(b"\r\n\r\n")[2] == body for request in asked] == [True, True]


async def test_a_transport_that_is_closed_leaves_no_connection(transport: Transport) -> None:
    async with RawServer(answering(HELLO)) as server:
        assert await get_whole(transport, server) == b"hello"
        await transport.aclose()
        await server.all_left()
