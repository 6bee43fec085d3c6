"""What our own client does beyond the interface: its pool, its retry, its limits, its manners."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import Any

import pytest

from gateway.http_client import HttpTransport
from gateway.http_connection import MOST_HEAD_BYTES, SLICE_BYTES, Connection
from gateway.http_pool import Pool
from gateway.transport import TransportError
from gateway.transports import transport_for
from tests.gateway.raw_server import Held, Peer, RawServer, answering, until

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


# How little it takes


class Steps:
    """Runs a coroutine and counts how often it had to wait for something."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        sent = None
        while True:
            try:
                waited_for = self._coroutine.send(sent)
            except StopIteration as done:
                return done.value
            self.waits += 1
            sent = yield waited_for


async def test_an_answer_in_one_read_wakes_the_asker_once_and_is_then_read_without_a_wait(
    client: HttpTransport,
) -> None:
    async with RawServer(answering(HELLO)) as server:
        await whole(client, server.url)

        posting = Steps(client.post(server.url, {}, b"{}"))
        response = await posting
        reading = Steps(response.read())

        assert await reading == b"hello"
        assert (posting.waits, reading.waits) == (1, 0)


async def test_small_writes_are_not_held_back_by_nagle(client: HttpTransport) -> None:
    async with RawServer(answering(HELLO)) as server:
        await whole(client, server.url)
        sock = pool_of(client).idle[0]._transport.get_extra_info("socket")

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_other_headers_to_the_same_url_are_not_taken_from_memory(
    client: HttpTransport,
) -> None:
    asked: list[bytes] = []

    async def play(peer: Peer) -> None:
        while True:
            asked.append(await peer.head())
            await peer.send(HELLO)

    async with RawServer(play) as server:
        headers = {"x": "1"}
        for changed in ({}, {"x": "2"}, {"y": "3"}):
            headers.update(changed)
            await (await client.post(server.url, headers, b"")).read()

    assert [head.split(b"\r\n")[2:-2] for head in asked] == [
        [b"x: 1", b"content-length: 0"],
        [b"x: 2", b"content-length: 0"],
        [b"x: 2", b"y: 3", b"content-length: 0"],
    ]


# Limits


async def test_a_connection_that_takes_too_long_is_given_up_and_is_safe() -> None:
    client = HttpTransport(connect_s=0.0, max_connections=1)
    with socket.create_server(("127.0.0.1", 0)) as nobody_accepts:
        port = nobody_accepts.getsockname()[1]
        with pytest.raises(TransportError, match="connect_s = 0") as caught:
            await whole(client, f"http://127.0.0.1:{port}")

    assert caught.value.safe
    assert pool_of(client)._slots_taken == 0
    await client.aclose()


@pytest.mark.parametrize("pad", [-1, 0, 1, 300_000])
async def test_a_head_may_have_64_kib_and_not_a_byte_more(client: HttpTransport, pad: int) -> None:
    start, end = OK + b"x: ", b"\r\ncontent-length: 5\r\n\r\n"
    room = MOST_HEAD_BYTES - len(start) - len(end)
    async with RawServer(answering(start + b"x" * (room + pad) + end + b"hello")) as server:
        if pad <= 0:
            assert await whole(client, server.url) == b"hello"
            assert await whole(client, server.url) == b"hello"
            assert server.connections == 1
        else:
            with pytest.raises(TransportError, match="head of more than 65536 bytes"):
                await whole(client, server.url)


async def test_interim_responses_without_end_are_refused(client: HttpTransport) -> None:
    async with RawServer(answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 4000)) as server:
        with pytest.raises(TransportError, match="head of more than"):
            await whole(client, server.url)


async def test_trailers_without_end_are_refused(client: HttpTransport) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"0\r\n")
        while True:
            await peer.send(b"x: " + b"y" * 65536 + b"\r\n")

    async with RawServer(play) as server:
        with pytest.raises(TransportError, match="trailers"):
            await whole(client, server.url)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nxyz",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 042 Early\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_a_change_of_protocol_is_refused(client: HttpTransport, answer: bytes) -> None:
    async with RawServer(answering(answer)) as server:
        with pytest.raises(TransportError, match=r"malformed answer: (status|it changes)"):
            await whole(client, server.url)


async def test_a_large_request_waits_in_our_memory_for_a_slow_engine_and_not_in_the_loops(
    client: HttpTransport,
) -> None:
    body = bytes(20 * 1024 * 1024)
    begun, go_on = asyncio.Event(), asyncio.Event()
    length = 0

    async def play(peer: Peer) -> None:
        nonlocal length
        await peer.head()
        begun.set()
        await go_on.wait()
        length = len(await peer.exactly(len(body)))
        await peer.send(HELLO)

    async with RawServer(play) as server, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(whole(client, server.url, body))
        await begun.wait()
        (connection,) = pool_of(client)._members
        await until(lambda: connection._choked)
        waiting = connection._transport.get_write_buffer_size()
        go_on.set()

        assert await asking == b"hello"
        assert length == len(body)
        assert waiting < 4 * SLICE_BYTES


@pytest.mark.parametrize("end", [b"", b"hello"])
async def test_an_engine_that_refuses_a_large_request_early_is_heard_and_hung_up_on(
    client: HttpTransport, end: bytes
) -> None:
    async def play(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\n" + end)
        if not end:
            await head_was_read.wait()
            await peer.send(b"hello")
        await never.wait()

    head_was_read, never = asyncio.Event(), asyncio.Event()
    async with RawServer(play, answering(HELLO)) as server:
        response = await client.post(server.url, {}, bytes(64 * 1024 * 1024))
        assert response.status == 413
        head_was_read.set()
        assert await response.read() == b"hello"
        assert pool_of(client)._slots_taken == 0

        never.set()
        assert await whole(client, server.url) == b"hello"
        assert server.connections == 2


# Where a URL leads


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://h/", "h/v1", "http:///v1", "http://user:pw@h/v1", "http://h:99999/v1"),
        *("http://h/a b", "http://h/\r\nx: y", "http://h/é", "https://h/v1"),
    ],
)
async def test_a_url_that_is_none_is_refused(client: HttpTransport, url: str) -> None:
    with pytest.raises(TransportError) as caught:
        await client.post(url, {}, b"")
    assert caught.value.safe


@pytest.mark.parametrize(
    "headers",
    [{"a b": "c"}, {"a": "b\r\nc: d"}, {"a": "\x00"}, {"a": "\u2603"}, {"Content-Length": "3"}],
)
async def test_a_header_that_would_break_the_request_is_refused(
    client: HttpTransport, headers: dict[str, str]
) -> None:
    with pytest.raises(TransportError, match="header") as caught:
        await client.post("http://127.0.0.1:9/v1", headers, b"")
    assert caught.value.safe


async def test_an_ipv6_address_is_a_host(client: HttpTransport) -> None:
    asked: list[bytes] = []

    async def play(peer: Peer) -> None:
        asked.append(await peer.request())
        await peer.send(HELLO)

    try:
        async with RawServer(play, host="::1") as server:
            url = f"http://[::1]:{server.port}"
            assert await whole(client, url) == b"hello"
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")

    assert asked[0].startswith(f"POST / HTTP/1.1\r\nhost: [::1]:{server.port}\r\n".encode())


async def test_each_replica_gets_the_client_that_its_scheme_needs() -> None:
    async with RawServer(answering(HELLO)) as plain:
        both = transport_for(
            (plain.url, "https://127.0.0.1:9/v1"), connect_s=1.0, max_connections=1
        )
        assert await (await both.post(plain.url, {}, b"")).read() == b"hello"
        assert await (await both.get(plain.url, {})).read() == b"hello"
        with pytest.raises(TransportError, match="connection failed"):
            await both.post("https://127.0.0.1:9/v1", {}, b"")
        await both.aclose()

    for urls, kind in (("http://a", "HttpTransport"), ("https://a", "AiohttpTransport")):
        one = transport_for((urls,), connect_s=1.0, max_connections=1)
        assert type(one).__name__ == kind
        await one.aclose()


async def test_nothing_is_sent_by_a_client_that_was_closed(client: HttpTransport) -> None:
    async with RawServer(answering(HELLO)) as server:
        await whole(client, server.url)
        await client.aclose()
        for url in (server.url, f"{server.url}/other", "http://127.0.0.1:9"):
            with pytest.raises(TransportError, match="closed"):
                await whole(client, url)


async def test_closing_the_client_ends_what_is_under_way(client: HttpTransport) -> None:
    play = Held(HELLO)
    async with RawServer(play) as server:
        asking = asyncio.get_running_loop().create_task(client.post(server.url, {}, b"{}"))
        await play.asked.acquire()
        await client.aclose()
        await asyncio.wait([asking])

        assert isinstance(asking.exception(), TransportError)
        play.go_on.release()
        await server.all_left()


def test_a_connection_is_small() -> None:
    """One of these stands for each stream that is open."""
    assert Connection.__dictoffset__ == 0
