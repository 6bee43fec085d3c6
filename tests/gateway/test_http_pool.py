"""The pool: connections that died while idle, the bound, and those who wait for a slot."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway import http_pool
from gateway.http_client import HttpTransport
from gateway.http_connection import Connection
from gateway.http_pool import Pool
from gateway.transport import TransportError
from tests.gateway.raw_server import Held, Peer, RawServer, answering, closing, until

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


# Connections that died while they were idle


async def test_of_many_that_died_unnoticed_only_one_is_tried() -> None:
    """An engine that was restarted: what else lies idle is no better."""
    client = HttpTransport(connect_s=5.0, max_connections=3)
    gather = asyncio.Barrier(3)

    async def until_the_restart(peer: Peer) -> None:
        await peer.request()
        await gather.wait()
        await peer.send(HELLO)
        await peer.request()

    dying = [until_the_restart] * 3
    async with RawServer(*dying, answering(HELLO)) as server:
        await asyncio.gather(*(whole(client, server.url) for _ in dying))
        pool = pool_of(client)
        assert len(pool.idle) == 3

        assert await whole(client, server.url) == b"hello"
        assert server.connections == 4
        assert len(pool.idle) == pool._slots_taken == 2
        await client.aclose()


async def test_an_idle_connection_is_closed_by_us_first_and_one_timer_sees_to_it(
    client: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer(answering(HELLO)) as server:
        await whole(client, server.url)
        pool = pool_of(client)
        timer = pool._timer
        assert timer is not None
        for _ in range(5):
            await whole(client, server.url)
            assert pool._timer is timer

        monkeypatch.setattr(http_pool, "SHORTER_THAN_THE_ENGINES_S", 0.0)
        timer.cancel()
        pool._close_the_stale()

        await server.all_left()
        assert pool.idle == []
        assert pool._timer is None


async def test_a_connection_that_was_busy_meanwhile_is_not_idle_too_long(
    client: HttpTransport,
) -> None:
    async with RawServer(answering(HELLO)) as server:
        await whole(client, server.url)
        pool = pool_of(client)
        pool._close_the_stale()

        assert len(pool.idle) == 1
        assert pool._timer is not None
        await whole(client, server.url)
        assert server.connections == 1


async def test_an_engine_that_hangs_up_on_an_idle_connection_is_noticed(
    client: HttpTransport,
) -> None:
    async with RawServer(closing(HELLO)) as server:
        await whole(client, server.url)
        await server.all_left()
        await until(lambda: not pool_of(client)._slots_taken)

        assert pool_of(client).idle == []


async def test_a_word_from_an_engine_that_was_not_asked_costs_the_connection(
    client: HttpTransport,
) -> None:
    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(HELLO)
        await asyncio.sleep(0)
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()

    async with RawServer(play, answering(HELLO)) as server:
        assert await whole(client, server.url) == b"hello"
        await server.all_left()
        assert await whole(client, server.url) == b"hello"


@pytest.mark.parametrize("more", [b"x", b"HTTP/1.1 2", HELLO, b"\r\n\r\nHTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("answer", [HELLO, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"])
async def test_bytes_after_the_end_cost_the_connection_and_not_the_answer(
    client: HttpTransport, answer: bytes, more: bytes
) -> None:
    async with RawServer(answering(answer + more), answering(HELLO)) as server:
        assert await whole(client, server.url) == b"hello"
        assert await whole(client, server.url) == b"hello"

        assert server.connections == 2


# The bound, and those who wait


async def test_the_one_who_has_waited_longest_goes_first(client: HttpTransport) -> None:
    play = Held(HELLO)
    async with RawServer(play) as server, asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(whole(client, server.url, b"%d" % number))
            await asyncio.sleep(0)
        for _ in range(4):
            await play.asked.acquire()
            play.go_on.release()

    assert play.bodies == [b"0", b"1", b"2", b"3"]
    assert server.connections == 1


async def test_a_probe_does_not_wait_behind_the_traffic_and_leaves_no_extra_connection(
    client: HttpTransport,
) -> None:
    play = Held(HELLO)
    async with RawServer(play, answering(HELLO)) as server, asyncio.TaskGroup() as tasks:
        tasks.create_task(whole(client, server.url))
        await play.asked.acquire()
        response = await client.get(server.url, {})

        assert await response.read() == b"hello"
        assert server.connections == 2
        await until(lambda: server.open == 1)
        play.go_on.release()


async def test_a_waiter_gets_the_slot_of_a_connection_that_broke(client: HttpTransport) -> None:
    async def breaking(peer: Peer) -> None:
        await peer.request()

    async with RawServer(breaking, answering(HELLO)) as server:
        first, second = await asyncio.gather(
            whole(client, server.url), whole(client, server.url), return_exceptions=True
        )

    assert isinstance(first, TransportError)
    assert second == b"hello"


async def test_a_waiter_that_was_cancelled_is_passed_over(client: HttpTransport) -> None:
    play = Held(HELLO)
    async with RawServer(play) as server, asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(whole(client, server.url, b"%d" % n)) for n in range(3)]
        await play.asked.acquire()
        waiting[1].cancel()
        play.go_on.release()
        play.go_on.release()
        assert await waiting[2] == b"hello"

    assert play.bodies == [b"0", b"2"]


@pytest.mark.parametrize("handing_over", [Pool.release, lambda _, it: it.discard()])
async def test_what_a_waiter_was_handed_as_it_was_cancelled_goes_to_the_next(
    handing_over: Callable[[Pool, Connection], None],
) -> None:
    """Cancelled after it was woken and before it ran."""
    loop = asyncio.get_running_loop()
    async with RawServer(answering(HELLO)) as server:
        pool = Pool("127.0.0.1", server.port, connect_s=5.0, max_connections=1)
        connection = await pool.take()
        second, third = loop.create_task(pool.take()), loop.create_task(pool.take())
        await asyncio.sleep(0)

        handing_over(pool, connection)
        second.cancel()

        assert ((await third) is connection) == (handing_over is Pool.release)
        assert second.cancelled()
        assert pool._slots_taken == 1
        await pool.aclose()
        connection.discard()


async def test_a_connection_that_died_on_its_way_to_a_waiter_is_no_connection() -> None:
    loop = asyncio.get_running_loop()
    async with RawServer(answering(HELLO)) as server:
        pool = Pool("127.0.0.1", server.port, connect_s=5.0, max_connections=1)
        connection = await pool.take()
        waiting = [loop.create_task(pool.take()) for _ in range(2)]
        await asyncio.sleep(0)

        pool.release(connection)
        connection.discard()

        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        (lucky,) = [task.result() for task in done]
        assert lucky is not connection
        assert pool._slots_taken == 1
        lucky.discard()
        await asyncio.wait(waiting)
        assert pool._slots_taken == 1
        await pool.aclose()


async def test_all_who_wait_are_told_when_the_engine_is_gone(client: HttpTransport) -> None:
    play = Held(HELLO)
    async with RawServer(play) as server:
        loop = asyncio.get_running_loop()
        asking = [loop.create_task(whole(client, server.url)) for _ in range(3)]
        await play.asked.acquire()
    told = await asyncio.gather(*asking, return_exceptions=True)

    assert [isinstance(each, TransportError) for each in told] == [True, True, True]
    assert pool_of(client)._slots_taken == 0
