"""What a request and a streamed chunk cost the gateway, in function calls instead of time.

    python -m tests.gateway.hot_path_cost            counts and prints
    python -m tests.gateway.hot_path_cost --by-function
    python -m tests.gateway.hot_path_cost --record   after a change that was meant, for the worse or
                                                     the better

The gateway runs as in production (`gateway.server.serve`: uvicorn, keys, metrics, traces in SQLite,
the client to the engine) on the event loop of this process, between an engine and a client that are
nothing but canned bytes on sockets. All happens in lock-step on one thread, so the calls that
`sys.setprofile` sees are the same in every run: of Python functions of ours, of Python functions of
the libraries, and of C functions by ours. Each is the least over many requests or chunks, so a
timer that fires now and then does not count.
"""

import argparse
import asyncio
import os
import signal
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

INLINED = {"<listcomp>", "<setcomp>", "<dictcomp>"}
"""Calls up to Python 3.11 and none from 3.12 on, so they are not counted."""

WARM, COUNTED = 8, 20
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


NOTHING = Cost(0, 0, 0)
SLACK, SLACK_CALLS = 0.03, 1
"""Differences up to these are Python's: 3.12 and 3.13 call C once more a request than 3.11."""


class Calls:
    """What is called while it is on, by the code that is entered or that calls into C."""

    def __init__(self) -> None:
        self.python: Counter[CodeType] = Counter()
        self.c: Counter[CodeType] = Counter()
        self._noticed = 0

    def on(self) -> None:
        self.python.clear()
        self.c.clear()
        self._noticed = 0
        sys.setprofile(self._note)

    def off(self) -> Cost:
        sys.setprofile(None)
        python, c = self.python.items(), self.c.items()
        return Cost(
            ours=sum(number for code, number in python if is_ours(code)),
            libraries=sum(number for code, number in python if LIBRARIES in code.co_filename),
            c=sum(number for code, number in c if is_ours(code)),
        )

    async def quiet(self) -> None:
        """Until something was called, and then nothing for a while."""
        before = 0
        while self._noticed == 0 or self._noticed != before:
            before = self._noticed
            for _ in range(QUIET_TURNS):
                await asyncio.sleep(0)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self.python[frame.f_code] += 1
            self._noticed += is_ours(frame.f_code)
        elif event == "c_call":
            self.c[frame.f_code] += 1


def is_ours(code: CodeType) -> bool:
    return code.co_filename.startswith(OURS) and code.co_name not in INLINED


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

    return await _least(once, calls)


async def _chunk(
    client: Client, asked: bytes, engine: Engine, calls: Calls, show: Callable[[Calls], None]
) -> Cost:
    engine.streaming.clear()
    answer = client.ask(asked)
    await engine.streaming.wait()
    number = 0

    async def once() -> None:
        nonlocal number
        number += 1
        engine.say(chunk(number))

    cost = await _least(once, calls)
    show(calls)
    engine.say(chunk(0, finish="stop"))
    assert (await answer).count(b"data: ") == number + 3
    return cost


async def _least(once: Callable[[], Awaitable[None]], calls: Calls) -> Cost:
    """Of many: timers that fire meanwhile only add, the more the slower the machine is."""
    costs = []
    for _ in range(WARM + COUNTED):
        calls.on()
        await once()
        await calls.quiet()
        costs.append(calls.off())
    costs = costs[WARM:]
    return Cost(
        ours=min(cost.ours for cost in costs),
        libraries=min(cost.libraries for cost in costs),
        c=min(cost.c for cost in costs),
    )


def counted(show: Callable[[str, Calls], None] = lambda _name, _calls: None) -> Costs:
    """In this process, which it must have for itself."""
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(count(Path(folder), show))


def recorded() -> Costs:
    return msgspec.json.decode(RECORD.read_bytes(), type=Costs)


def differences(costs: Costs, record: Costs) -> list[str]:
    """What costs noticeably more or less than is recorded, in words."""
    found = []
    for name in sorted({*costs, *record}):
        mine, known = costs.get(name, NOTHING), record.get(name, NOTHING)
        for kind in Cost.__struct_fields__:
            now, then = getattr(mine, kind), getattr(known, kind)
            if abs(now - then) > max(SLACK_CALLS, SLACK * then):
                found.append(f"{name}: {kind}: {now:g} calls, recorded {then:g}")
    return found


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
        lines = [f'"{name}": {msgspec.json.encode(cost).decode()}' for name, cost in costs.items()]
        RECORD.write_text("{\n " + ",\n ".join(lines) + "\n}\n")
    sys.stdout.write(msgspec.json.encode(costs).decode() + "\n")


if __name__ == "__main__":
    main()
