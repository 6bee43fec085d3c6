"""The scripted engine: an OpenAI-compatible HTTP engine that does what a test tells it to.

It speaks as vLLM 0.32 does (serving.vllm_shapes) and misbehaves as scripted (serving.scripts), down
to resets and half-sent bodies. In a test:

    journal: list[str] = []
    async with ScriptedEngine(model="student", journal=journal) as engine:
        engine.script(Say("4", "1", pause_after=1), Status(500))   # the last one repeats
        ...                                                       # talk to engine.base_url
        await engine.left()                                       # the client hung up
    assert journal == ["student called", "student left after 1"]

By hand, to try a gateway without any model:

    python -m serving.scripted_engine --port 8101 --model student
"""

import argparse
import asyncio
import logging
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self, assert_never
from urllib.parse import urlsplit

import httptools
import msgspec

from serving import vllm_shapes
from serving.raw_http import Reply, Request, RequestReader, phrase
from serving.scripts import (
    SENSIBLE,
    Behaviour,
    Cut,
    Echo,
    Events,
    Garbage,
    Hang,
    Json,
    Received,
    Reset,
    Say,
    Status,
)
from serving.vllm_shapes import Asked, Refused, sse

log = logging.getLogger(__name__)

GENERATE = "/v1/chat/completions"
EVENT_STREAM = "text/event-stream; charset=utf-8"
READ_BYTES = 65_536


class ScriptedEngine:
    """An engine on a loopback port; `script` says what it does, `journal` what happened.

    The journal is a plain list that several engines may share: it then holds the order of events,
    such as "student called", "student left after 3" (tokens), "teacher called", "teacher finished".
    """

    def __init__(
        self,
        *,
        model: str,
        journal: list[str] | None = None,
        default: Behaviour = SENSIBLE,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.model = model
        self.journal = [] if journal is None else journal
        self.requests: list[Received] = []
        """Every request for a completion, in order, refused ones too."""
        self.probes: list[Received] = []
        """Everything else: health, models, tokenize."""
        self.connections = 0
        """How many connections were accepted: fewer than requests where they are reused."""
        self.in_flight = 0
        self.departures = 0
        """How often a client left before its answer was finished."""
        self._script: deque[Behaviour] = deque([default])
        self._host, self.port = host, port
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._closing = False
        self._changed = asyncio.Event()
        self._permits = 0
        self._pausing = 0

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self.port}/v1"

    def script(self, *behaviours: Behaviour) -> None:
        """One behaviour per request from now on; the last one repeats."""
        self._script = deque(behaviours)

    def resume(self, times: int = 1) -> None:
        """Let so many pauses end: those of now, or else the next ones."""
        self._permits += times
        self._tell()

    async def called(self, times: int = 1) -> None:
        """Wait until so many requests for completions have come in all."""
        await self._until(lambda: len(self.requests) >= times)

    async def paused(self, times: int = 1) -> None:
        """Wait until so many answers stand still in a pause."""
        await self._until(lambda: self._pausing >= times)

    async def left(self, times: int = 1) -> None:
        """Wait until so many clients in all left before their answer was finished."""
        await self._until(lambda: self.departures >= times)

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._until(lambda: self.in_flight == 0)

    async def start(self) -> None:
        """Listen; after a `close`, on the same port again."""
        self._closing = False
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every connection; the port refuses from now on."""
        self._closing = True
        if self._server is not None:
            self._server.close()
            for writer in self._serving.values():
                writer.transport.abort()
            await asyncio.gather(*self._serving)
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _note(self, what: str) -> None:
        self.journal.append(f"{self.model} {what}")

    async def _pause(self) -> None:
        self._pausing += 1
        self._tell()
        try:
            await self._until(lambda: self._permits > 0)
            self._permits -= 1
        finally:
            self._pausing -= 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: read all the time, so that a client's leaving is noticed at once."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio runs this callback in a task
        self._serving[task] = writer
        self.connections += 1
        inbox: asyncio.Queue[Request] = asyncio.Queue()
        requests = RequestReader(inbox)
        try:
            async with asyncio.TaskGroup() as tasks:
                answering = tasks.create_task(self._answer_all(inbox, writer))
                with suppress(ConnectionError, httptools.HttpParserError):
                    while data := await reader.read(READ_BYTES):
                        requests.feed(data)
                answering.cancel()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            del self._serving[task]

    async def _answer_all(
        self,
        inbox: asyncio.Queue[Request],
        writer: asyncio.StreamWriter,
    ) -> None:
        with suppress(ConnectionError):  # the client is gone: there is nobody left to tell
            while True:
                request = await inbox.get()
                await self._answer(request, Reply(writer, keep_alive=request.keep_alive))

    async def _answer(self, request: Request, reply: Reply) -> None:
        path = urlsplit(request.url.decode("latin-1")).path
        received = Received(request.method, path, request.headers, _parsed(request.raw))
        if path != GENERATE:
            self.probes.append(received)
            await self._probe(received, request.raw, reply)
            return
        self.requests.append(received)
        self.in_flight += 1
        self._tell()
        try:
            await self._complete(request.raw, reply)
        except (asyncio.CancelledError, ConnectionError):
            if not self._closing:
                self._note(f"left after {reply.tokens}")
                self.departures += 1
            raise
        finally:
            self.in_flight -= 1
            self._tell()

    async def _probe(self, received: Received, raw: bytes, reply: Reply) -> None:
        match received.method, received.path:
            case "GET", "/health":
                await reply.whole(200, b"")
            case "GET", "/v1/models":
                await reply.whole(200, vllm_shapes.models(self.model))
            case "POST", "/tokenize":
                try:
                    await reply.whole(200, vllm_shapes.tokenize(raw))
                except Refused as refused:
                    await reply.whole(refused.status, refused.body)
            case _:
                await reply.whole(404, vllm_shapes.encode({"detail": "Not Found"}))

    async def _complete(self, raw: bytes, reply: Reply) -> None:
        try:
            asked = vllm_shapes.parse(raw, model=self.model)
        except Refused as refused:
            self._note(f"refused {refused.status}")
            await reply.whole(refused.status, refused.body)
            return
        self._note("called")
        behaviour = self._script.popleft() if len(self._script) > 1 else self._script[0]
        await self._perform(behaviour, asked, reply)

    async def _perform(self, behaviour: Behaviour, asked: Asked, reply: Reply) -> None:
        match behaviour:
            case Say() | Echo():
                say = behaviour if isinstance(behaviour, Say) else behaviour.say(asked.last_words)
                await self._say(say, asked, reply)
                self._note("finished")
            case Json(body):
                await reply.whole(200, vllm_shapes.encode(body))
                self._note("finished")
            case Events(data):
                await reply.start(EVENT_STREAM)
                for item in (*data, "[DONE]"):
                    raw = item.encode() if isinstance(item, str) else vllm_shapes.encode(item)
                    await reply.chunk(sse(raw))
                await reply.end()
                self._note("finished")
            case Status(code, body, headers):
                raw = _error(code) if body is None else vllm_shapes.encode(body)
                await reply.whole(code, raw, headers=headers)
                self._note(f"answered {code}")
            case Hang(after, say):
                await self._begin(after, say, asked, reply)
                await asyncio.Event().wait()
            case Reset(after, say):
                await self._begin(after, say, asked, reply)
                self._note(f"reset after {reply.tokens}")
                reply.reset()
            case Cut(after, say, clean):
                await self._begin(after, say, asked, reply)
                self._note(f"cut after {reply.tokens}")
                await reply.end() if clean else reply.close()
            case Garbage(raw, after_headers):
                await _litter(raw, asked, reply, after_headers=after_headers)
                self._note("sent garbage")
            case _:
                assert_never(behaviour)

    async def _say(self, say: Say, asked: Asked, reply: Reply) -> None:
        """The whole answer, with its pauses."""
        answer_id = self._answer_id()
        if say.held:
            await self._pause()
        if not asked.stream:
            if say.pause_after is not None:
                await self._pause()
            await asyncio.sleep(say.token_delay_s * len(say.tokens))
            await reply.whole(200, vllm_shapes.whole(asked, say, answer_id=answer_id))
            return
        stream = vllm_shapes.stream(asked, say, answer_id=answer_id)
        await reply.start(EVENT_STREAM)
        for event in stream.opening:
            await reply.chunk(event)
        for event in stream.tokens:
            if say.pause_after == reply.tokens:
                await self._pause()
            if say.token_delay_s:
                await asyncio.sleep(say.token_delay_s)
            await reply.chunk(event)
            reply.tokens += 1
        if say.pause_after == reply.tokens:
            await self._pause()
        for event in stream.closing:
            await reply.chunk(event)
        await reply.end()

    async def _begin(self, after: int | None, say: Say, asked: Asked, reply: Reply) -> None:
        """The headers, the role chunk and `after` tokens; nothing at all if it is None.

        An answer that is not streamed has its headers and `after` bytes of its body sent.
        """
        if after is None:
            return
        if not asked.stream:
            body = vllm_shapes.whole(asked, say, answer_id=self._answer_id())
            await reply.start("application/json")
            if after:
                await reply.chunk(body[:after])
            return
        stream = vllm_shapes.stream(asked, say, answer_id=self._answer_id())
        await reply.start(EVENT_STREAM)
        for event in stream.opening:
            await reply.chunk(event)
        for event in stream.tokens[:after]:
            await reply.chunk(event)
            reply.tokens += 1

    def _answer_id(self) -> str:
        return f"chatcmpl-{len(self.requests):016x}"


def _parsed(raw: bytes) -> Mapping[str, object]:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _error(code: int) -> bytes:
    kind = phrase(code)
    return vllm_shapes.error_body(code, f"scripted: {code} {kind}", kind=kind.replace(" ", ""))


async def _litter(raw: bytes, asked: Asked, reply: Reply, *, after_headers: bool) -> None:
    if not after_headers:
        await reply.raw(raw)
        reply.close()
        return
    await reply.start(EVENT_STREAM if asked.stream else "application/json")
    await reply.chunk(raw)
    await reply.end()


async def _run(engine: ScriptedEngine) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with engine:
        log.info("scripted engine %r on %s; Ctrl-C ends it", engine.model, engine.base_url)
        await stop.wait()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m serving.scripted_engine",
        description="An OpenAI-compatible engine without a model: it repeats what you say.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8101)
    parser.add_argument("--model", default="student", help="the name that clients ask for")
    parser.add_argument("--seed", type=int, default=0, help="decides which answers are unsure")
    parser.add_argument("--token-delay-s", type=float, default=0.02)
    asked = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    echo = Echo(seed=asked.seed, token_delay_s=asked.token_delay_s)
    engine = ScriptedEngine(model=asked.model, default=echo, host=asked.host, port=asked.port)
    asyncio.run(_run(engine))


if __name__ == "__main__":
    main()
