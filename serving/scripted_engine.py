"""The scripted engine: an OpenAI-compatible HTTP engine that does what a test tells it to.

It speaks as vLLM 0.32 does (serving.vllm_shapes) or as llama.cpp (serving.llamacpp_shapes), and
misbehaves as scripted (serving.scripts), down to resets and half-sent bodies. In a test:

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
from typing import Literal, Self
from urllib.parse import urlsplit

import httptools
import msgspec

from serving.dialect import Answer, Dialect, Facts, Refused
from serving.llamacpp_shapes import LlamaCpp
from serving.performance import Performance
from serving.raw_http import Reply, Request, RequestReader
from serving.say import SENSIBLE, Echo, Received
from serving.scripts import Behaviour
from serving.vllm_shapes import Vllm

log = logging.getLogger(__name__)

Flavour = Literal["vllm", "llamacpp"]
DIALECTS: Mapping[Flavour, Dialect] = {"vllm": Vllm(), "llamacpp": LlamaCpp()}
RUNNING: Mapping[Flavour, str] = {
    "vllm": "vllm:num_requests_running",
    "llamacpp": "llamacpp:requests_processing",
}
"""What an engine calls its requests in flight, on /metrics."""
CONTEXT_TOKENS = 8192
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
        flavour: Flavour = "vllm",
        context_tokens: int = CONTEXT_TOKENS,
        tools: bool = True,
        stores_responses: bool = True,
        default: Behaviour = SENSIBLE,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`context_tokens`: longer prompts are refused, as the flavour refuses them.

        `tools`: False is a vLLM that was started without a tool parser. `stores_responses`: as
        vLLM does with VLLM_ENABLE_RESPONSES_API_STORE=1 and not by default; llama.cpp never does.
        """
        self.model = model
        self._dialect = DIALECTS[flavour]
        self._flavour = flavour
        stored: dict[str, bytes] | None = {} if stores_responses else None
        self._facts = Facts(model, context_tokens, tools, stored)
        self.journal = [] if journal is None else journal
        self.requests: list[Received] = []
        """Every request that asks for an answer, in order, refused ones too."""
        self.probes: list[Received] = []
        """Everything else: health, models, tokenize, a stored response."""
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
        """Wait until so many requests for an answer have come in all."""
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
        received = Received(
            request.method, path, request.headers, _parsed(request.raw), request.raw
        )
        try:
            answer = self._understood(received)
        except Refused as refused:
            self.requests.append(received)
            self._note(f"refused {refused.status}")
            self._tell()
            await reply.whole(refused.status, refused.body)
            return
        if answer is None:
            await self._probe(received, reply)
            return
        self.requests.append(received)
        self.in_flight += 1
        self._tell()
        try:
            await self._perform(answer, reply)
        except (asyncio.CancelledError, ConnectionError):
            if not self._closing:
                self._note(f"left after {reply.tokens}")
                self.departures += 1
            raise
        finally:
            self.in_flight -= 1
            self._tell()

    def _understood(self, received: Received) -> Answer | None:
        if received.method != "POST":
            return None
        number = len(self.requests) + 1
        return self._dialect.understand(received.path, received.raw, self._facts, number=number)

    async def _probe(self, received: Received, reply: Reply) -> None:
        self.probes.append(received)
        if received.path == "/metrics":
            await reply.whole(200, self._metrics(), content_type="text/plain; version=0.0.4")
            return
        try:
            body = self._dialect.probe(received.method, received.path, received.raw, self._facts)
        except Refused as refused:
            await reply.whole(refused.status, refused.body)
        else:
            await reply.whole(200, body)

    def _metrics(self) -> bytes:
        """Of all that engines count, the one thing that tells whether anybody is still served."""
        return f"{RUNNING[self._flavour]} {self.in_flight}.0\n".encode()

    async def _perform(self, answer: Answer, reply: Reply) -> None:
        self._note("called")
        behaviour = self._script.popleft() if len(self._script) > 1 else self._script[0]
        await Performance(answer, self._dialect, reply, self._note, self._pause).play(behaviour)


def _parsed(raw: bytes) -> Mapping[str, object]:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


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
    parser.add_argument("--flavour", choices=tuple(DIALECTS), default="vllm")
    parser.add_argument("--seed", type=int, default=0, help="decides which answers are unsure")
    parser.add_argument("--token-delay-s", type=float, default=0.02)
    asked = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    echo = Echo(seed=asked.seed, token_delay_s=asked.token_delay_s)
    engine = ScriptedEngine(
        model=asked.model, flavour=asked.flavour, default=echo, host=asked.host, port=asked.port
    )
    asyncio.run(_run(engine))


if __name__ == "__main__":
    main()
