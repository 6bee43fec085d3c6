"""What a request and a streamed chunk cost the gateway, in function calls instead of time.

    python -m tests.gateway.hot_path_cost            counts and prints
    python -m tests.gateway.hot_path_cost --by-function
    python -m tests.gateway.hot_path_cost --record   after a change that was meant

The counts are kept by Python version. The gateway runs as in production (`gateway.server.serve`:
uvicorn, keys, metrics, traces in SQLite, the client to the engine) on the event loop of this
process, between an engine and a client that are nothing but canned bytes on sockets. All happens in
lock-step on one thread, so the calls that `sys.setprofile` sees are the same in every run: of
Python functions of ours, of Python functions of the libraries, and of C functions by ours. Each is
the median over many requests or chunks, so a timer that fires now and then does not count.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import CodeType, FrameType

import msgspec
import uvloop

import gateway
import router
from gateway import config
from gateway.clock import SystemClock
from gateway.keys import Keyring
from gateway.listening import listen_together
from gateway.metrics import Metrics
from gateway.server import _Stop, serve
from tests.gateway.lockstep import Client, Engine, EngineConnection, chunk, request

RECORD = Path(__file__).with_suffix(".json")
ROOT = Path(gateway.__path__[0]).parent
OURS = tuple(str(Path(package.__path__[0])) + os.sep for package in (gateway, router))
LIBRARIES = os.sep + "site-packages" + os.sep

WARM, COUNTED = 20, 41
QUIET_TURNS = 40
"""Turns of the event loop after which whatever a chunk set off has come to rest."""

WINDOW, HELD_WINDOW = 4, 4 * COUNTED
CONFIG = """
[server]
port = 0
auth = "keys"

[upstreams.engine]
base_url = "http://127.0.0.1:{port}/v1"
model = "m"

[routes.pass]
mode = "student"
student = "engine"
teacher = "engine"

[routes.cascade]
student = "engine"
teacher = "engine"
gate = {{ threshold = 0.5, window_tokens = {window} }}

[routes.held]
student = "engine"
teacher = "engine"
gate = {{ threshold = 0.5, window_tokens = {held} }}
"""


STREAMS = {"pass: chunk": "pass", "cascade: chunk": "cascade", "cascade: held chunk": "held"}
"""What is counted of a stream, and on which route."""


class Cost(msgspec.Struct, frozen=True):
    """Calls of Python functions of ours and of libraries, and of C functions from ours."""

    ours: float
    libraries: float
    c: float


Costs = dict[str, Cost]


class Calls:
    """What is called while it is on, by the code that is entered or that calls into C."""

    def __init__(self) -> None:
        self.python: Counter[CodeType] = Counter()
        self.c: Counter[CodeType] = Counter()

    def on(self) -> None:
        self.python.clear()
        self.c.clear()
        sys.setprofile(self._note)

    def off(self) -> Cost:
        sys.setprofile(None)
        python, c = self.python.items(), self.c.items()
        return Cost(
            ours=sum(number for code, number in python if is_ours(code)),
            libraries=sum(number for code, number in python if LIBRARIES in code.co_filename),
            c=sum(number for code, number in c if is_ours(code)),
        )

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.python[frame.f_code] += 1
        elif event == "c_call":
            self.c[frame.f_code] += 1


def is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(OURS)


async def count(folder: Path, show: Callable[[str, Calls], None]) -> Costs:
    """Starts the three, counts, stops them. `show` sees the calls of the last of each kind."""
    loop = asyncio.get_running_loop()
    engine, client, calls = Engine(), Client(), Calls()
    listening = await loop.create_server(lambda: EngineConnection(engine), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    file = folder / "gateway.toml"
    file.write_text(CONFIG.format(port=port, window=WINDOW, held=HELD_WINDOW))
    keys = folder / "keys.db"
    key = Keyring(keys).create("counter", SystemClock().unix_s())
    settings = config.load(file)
    (listener,) = listen_together(settings.server, 1)
    ready, stop = asyncio.Event(), _Stop()
    gateway_runs = serve(
        settings,
        listener,
        store=f"sqlite://{folder / 'traces.db'}",
        keys=keys,
        metrics=Metrics(),
        ready=ready.set,
        stop=stop,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway_runs)
        await ready.wait()
        await loop.create_connection(lambda: client, *listener.getsockname())
        costs = {}
        for route in ("pass", "cascade"):
            asked = request(route, key, stream=False)
            name = f"{route}: request"
            costs[name] = await _request(client, asked, calls)
            show(name, calls)
        for name, route in STREAMS.items():
            asked = request(route, key, stream=True)
            costs[name] = await _chunk(client, asked, engine, calls, partial(show, name))
        stop(signal.SIGTERM, None)
    listening.close()
    return costs


async def _request(client: Client, asked: bytes, calls: Calls) -> Cost:
    async def once() -> None:
        answer = await client.ask(asked)
        assert answer.startswith(b"HTTP/1.1 200"), answer

    return await _median(once, calls)


async def _chunk(
    client: Client, asked: bytes, engine: Engine, calls: Calls, show: Callable[[Calls], None]
) -> Cost:
    answer = client.ask(asked)
    await quiet()
    number = 0

    async def once() -> None:
        nonlocal number
        number += 1
        engine.say(chunk(number))

    cost = await _median(once, calls)
    show(calls)
    engine.say(chunk(0, finish="stop"))
    assert (await answer).count(b"data: ") == number + 3
    await quiet()
    return cost


async def _median(once: Callable[[], Awaitable[None]], calls: Calls) -> Cost:
    costs = []
    for _ in range(WARM + COUNTED):
        calls.on()
        await once()
        await quiet()
        costs.append(calls.off())
    costs = costs[WARM:]
    return Cost(
        ours=statistics.median(cost.ours for cost in costs),
        libraries=statistics.median(cost.libraries for cost in costs),
        c=statistics.median(cost.c for cost in costs),
    )


async def quiet() -> None:
    for _ in range(QUIET_TURNS):
        await asyncio.sleep(0)


def counted(show: Callable[[str, Calls], None] = lambda _name, _calls: None) -> Costs:
    """In this process, which it must have for itself."""
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(count(Path(folder), show))


def python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def recorded() -> dict[str, Costs]:
    """By Python version: what is a call and what is not changes with the minor one."""
    return msgspec.json.decode(RECORD.read_bytes(), type=dict[str, Costs])


def show_functions(name: str, calls: Calls) -> None:
    lines = [f"\n{name}: calls, of them into C, function"]
    for code, number in calls.python.most_common():
        if is_ours(code) or LIBRARIES in code.co_filename:
            where = code.co_filename.removeprefix(str(ROOT) + os.sep).rpartition(LIBRARIES)[2]
            lines.append(f"{number:6}{calls.c[code]:6}  {where}: {code.co_qualname}")
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true", help=f"into {RECORD.name}")
    parser.add_argument("--by-function", action="store_true", help="who is called how often")
    wished = parser.parse_args()
    costs = counted(show_functions if wished.by_function else lambda _name, _calls: None)
    if wished.record:
        everything = recorded() if RECORD.exists() else {}
        everything[python()] = costs
        text = msgspec.json.format(msgspec.json.encode(everything, order="sorted"), indent=1)
        RECORD.write_bytes(text + b"\n")
    sys.stdout.write(msgspec.json.encode(costs).decode() + "\n")


if __name__ == "__main__":
    main()
