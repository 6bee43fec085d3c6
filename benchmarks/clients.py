"""What a request to an engine costs a client in CPU: our own HTTP client beside aiohttp.

    .venv/bin/python -m benchmarks.clients

Both run in turns in this process, on core 0, against the mock engine on core 1. CPU time, so that a
machine that does other things blurs it less; read the ratio.
"""

import asyncio
import os
import resource
import statistics
import sys
from collections.abc import Callable

import uvloop

from benchmarks.bodies import Size, body
from benchmarks.machine import this_machine
from benchmarks.mock import Mock, Pace
from benchmarks.programs import NoCompiler
from benchmarks.rig import SERVER_CORE, rig
from gateway.aiohttp_transport import AiohttpTransport
from gateway.http_client import HttpTransport
from gateway.transport import Transport
from serving.home import Home

_CLIENTS: dict[str, Callable[[], Transport]] = {
    "ours": lambda: HttpTransport(connect_s=5.0, max_connections=_CONNECTIONS),
    "aiohttp": lambda: AiohttpTransport(connect_s=5.0, max_connections=_CONNECTIONS),
}
_CONNECTIONS = 64
_TURNS = 5
_WHOLE, _STREAMS, _CHUNKS = 4000, 64, 100
_HEADERS = {"content-type": "application/json", "authorization": "Bearer key"}


def main() -> int:
    if sys.platform == "linux":
        os.sched_setaffinity(0, {SERVER_CORE})
    try:
        with rig(Home.of(os.environ).root / "bench") as ready:
            ready.mock.set(Pace(_CHUNKS))
            costs = uvloop.run(_compare(ready.mock))
    except NoCompiler as error:
        print(error)
        return 2
    print(f"{this_machine()}; median of {_TURNS} turns, µs of CPU")
    for what in ("request", "chunk"):
        each = {name: statistics.median(costs[name, what]) * 1e6 for name in _CLIENTS}
        shown = ", ".join(f"{name} {cost:.1f}" for name, cost in each.items())
        print(f"a {what}: {shown}: {each['aiohttp'] / each['ours']:.1f} times")
    return 0


async def _compare(mock: Mock) -> dict[tuple[str, str], list[float]]:
    """CPU seconds a request and a chunk, one figure per turn; the first turn warms up."""
    url = f"{mock.base_url}/v1/chat/completions"
    asks = {
        stream: body("mock", Size.SMALL, stream=stream, logprobs=True) for stream in (False, True)
    }
    costs: dict[tuple[str, str], list[float]] = {
        (name, what): [] for name in _CLIENTS for what in ("request", "chunk")
    }
    for turn in range(_TURNS + 1):
        for name, make in _CLIENTS.items():
            client = make()
            whole_s = await _cost_s(client, url, asks[False], _WHOLE)
            stream_s = await _cost_s(client, url, asks[True], _STREAMS)
            await client.aclose()
            if turn:
                costs[name, "request"].append(whole_s / _WHOLE)
                costs[name, "chunk"].append(stream_s / (_STREAMS * _CHUNKS))
    return costs


async def _cost_s(client: Transport, url: str, ask: bytes, requests: int) -> float:
    rest = iter(range(requests))

    async def work() -> None:
        for _ in rest:
            response = await client.post(url, _HEADERS, ask)
            if response.headers["content-type"] == "application/json":
                await response.read()
            else:
                while await response.read_some():
                    pass
            response.close()

    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.gather(*(work() for _ in range(min(_CONNECTIONS, requests))))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
