"""Answers written straight to uvicorn's connection read as those that went through ASGI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from gateway import config
from gateway.asgi import Receive, Scope, Send
from gateway.client_connection import client_connections
from gateway.direct import READ_AHEAD_BYTES, DirectHttp, Serve
from gateway.errors import ClientLeft, GatewayError, TooLarge
from gateway.http import Http
from gateway.listening import listen

pytestmark = pytest.mark.anyio

KEPT_ALIVE_S = 1
MOST_BYTES = 2 * READ_AHEAD_BYTES
HEAD = b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """uvicorn, as the gateway starts it, on a free port; `serve` answers at /x."""

    async def elsewhere(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"elsewhere"})

    with listen(config.Server(port=0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                elsewhere,
                http=client_connections({b"/x": serve}, max_body_bytes=MOST_BYTES),
                timeout_keep_alive=KEPT_ALIVE_S,
                lifespan="off",
                log_level="error",
                access_log=False,
            )
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            try:
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True


class Answering:
    """Answers every request in one way, and notes what became of it."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.https: list[Http] = []
        self.bodies: list[bytes] = []
        self.left, self.began, self.read = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, http: Http) -> None:
        self.https.append(http)
        self.began.set()
        try:
            self.bodies.append(await http.body())
            self.read.set()
            with http.cancelled_by_hang_up():
                await self._answer(http)
        except ClientLeft:
            self.left.set()
        except GatewayError as error:
            await http.reply(error.status, b"{}")

    async def _answer(self, http: Http) -> None:
        match self.way:
            case "whole":
                await http.reply(200, b'{"a":1}', b"x-one: 1\r\n")
            case "stream":
                await http.start_stream(b"x-one: 1\r\n")
                await http.send(b"data: 1\n\n")
                await http.end_stream(b"data: [DONE]\n\n")
            case _:
                await asyncio.Event().wait()


async def read_all(reader: asyncio.StreamReader, *, until: bytes) -> bytes:
    return await asyncio.wait_for(reader.readuntil(until), 30)


async def test_a_whole_answer_has_its_length_its_headers_and_a_date() -> None:
    app = Answering("whole")
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n{}")

        answer = await read_all(reader, until=b'{"a":1}')
        writer.close()

    head = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    assert head[0] == b"http/1.1 200 ok"
    assert {b"content-type: application/json", b"content-length: 7", b"x-one: 1"} <= set(head)
    assert any(line.startswith(b"date: ") for line in head)
    assert isinstance(app.https[0], DirectHttp)
    assert app.bodies == [b"{}"]


async def test_a_stream_is_chunked_and_ends() -> None:
    async with serving(Answering("stream")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n{}")

        answer = await read_all(reader, until=b"0\r\n\r\n")
        writer.close()

    assert b"transfer-encoding: chunked" in answer
    assert answer.endswith(b"9\r\ndata: 1\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


async def test_a_connection_serves_one_request_after_the_other_and_pipelined_ones_in_order() -> (
    None
):
    app = Answering("whole")
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((HEAD + b"\r\n{}") * 2)
        for _ in range(2):
            await read_all(reader, until=b'{"a":1}')
        writer.write(HEAD + b"\r\n[]")
        await read_all(reader, until=b'{"a":1}')
        writer.close()

    assert app.bodies == [b"{}", b"{}", b"[]"]


async def test_a_client_that_wants_the_connection_closed_gets_that() -> None:
    async with serving(Answering("whole")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"connection: close\r\n\r\n{}")

        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()

    assert b"connection: close" in answer
    assert answer.endswith(b'{"a":1}')


async def test_a_client_that_leaves_ends_the_work_at_once() -> None:
    app = Answering("wait")
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n{}")
        await app.read.wait()
        writer.close()

        await asyncio.wait_for(app.left.wait(), 30)


async def test_a_body_in_pieces_begins_no_work_before_its_end() -> None:
    app = Answering("whole")
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n{")
        await _settled()
        began_early = app.began.is_set()
        writer.write(b"}")
        await read_all(reader, until=b'{"a":1}')
        writer.close()

    assert app.bodies == [b"{}"]
    assert not began_early


def sized(body: bytes) -> bytes:
    return HEAD.replace(b"length: 2", b"length: %d" % len(body)) + b"\r\n"


async def test_a_long_body_is_read_to_its_end_once_its_caller_is_looked_at() -> None:
    app, body = Answering("whole"), b"x" * (READ_AHEAD_BYTES + 10)
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sized(body) + body[:-1])
        await asyncio.wait_for(app.began.wait(), 30)
        writer.write(body[-1:])
        await read_all(reader, until=b'{"a":1}')
        writer.close()

    assert app.bodies == [body]


async def test_a_body_that_is_too_long_is_refused_before_its_end() -> None:
    app, body = Answering("whole"), b"x" * (MOST_BYTES + 10)
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sized(body) + body[:-1])
        refused = await read_all(reader, until=b"{}")
        writer.write(body[-1:] + HEAD + b"\r\n[]")
        await read_all(reader, until=b'{"a":1}')
        writer.close()

    assert app.bodies == [b"[]"]
    assert refused.startswith(b"HTTP/1.1 %d " % TooLarge.status)


async def test_a_client_that_leaves_within_a_long_body_ends_the_request() -> None:
    app, body = Answering("whole"), b"x" * (READ_AHEAD_BYTES + 10)
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sized(body) + body[:-1])
        await asyncio.wait_for(app.began.wait(), 30)
        writer.close()

        await asyncio.wait_for(app.left.wait(), 30)

    assert app.bodies == []


async def test_hot_and_other_paths_take_turns_on_one_connection() -> None:
    app = Answering("whole")
    elsewhere = HEAD.replace(b"/x", b"/y")
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n{}" + elsewhere + b"\r\n{}" + HEAD + b"\r\n[]")
        await read_all(reader, until=b'{"a":1}')
        other = await read_all(reader, until=b"elsewhere")
        await read_all(reader, until=b'{"a":1}')
        writer.close()

    assert app.bodies == [b"{}", b"[]"]
    assert other.startswith(b"HTTP/1.1 404 ")


async def test_a_client_that_leaves_ends_the_request_at_work_not_only_the_last_one_it_sent() -> (
    None
):
    app = Answering("wait")
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((HEAD + b"\r\n{}") * 3)
        await app.read.wait()
        writer.close()

        await asyncio.wait_for(app.left.wait(), 30)

    assert app.bodies == [b"{}"]


async def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    app = Answering("whole")
    loop = asyncio.get_running_loop()
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n{}")
        await read_all(reader, until=b'{"a":1}')
        served_at = loop.time()
        end = await asyncio.wait_for(reader.read(), 30)
        writer.close()

    assert end == b""
    assert loop.time() - served_at > KEPT_ALIVE_S / 2


async def test_what_is_not_http_is_refused() -> None:
    async with serving(Answering("whole")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"NONSENSE\r\n\r\n")
        refused = await asyncio.wait_for(reader.read(), 30)
        writer.close()

    assert refused.startswith(b"HTTP/1.1 400 ")


async def _settled() -> None:
    """What was sent has arrived."""
    for _ in range(20):
        await asyncio.sleep(0)
