"""What a gateway adds between a client and an engine: ours in its modes, nginx, LiteLLM, Rust.

    make bench                           everything, in about 15 minutes
    make bench ARGS=--quick              ours only, in under 3 minutes
    make bench ARGS='--ways pass --scenarios closed,burst'      some, by the starts of their names
    make bench ARGS='--ways pass --hold'         starts it, tells how to put load on it, and waits

Each server runs alone on core 0; the mock engine and the load generator share core 1. Machines
differ and are noisy: read the ratios within one run.
"""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import msgspec

from benchmarks import ours
from benchmarks.load import Demand
from benchmarks.machine import this_machine
from benchmarks.place import NotHere
from benchmarks.programs import NoCompiler
from benchmarks.prometheus import labelled
from benchmarks.results import Found, Measured, Memory, Run
from benchmarks.rig import HOST, Rig, Standing, rig
from benchmarks.scenarios import CLIENTS, FULL, QUICK, WARM_UP, Scenario
from benchmarks.ways import DIRECT, OURS, WAYS, Way
from serving.errors import ServingError
from serving.home import Home

_HOLD_S = 1800
_SOAKED = "pass"
_SOAK_REQUESTS = 1_000_000
_SOAK_STEPS = 10
_SOAK_STEP_WITHIN_S = 15.0


def main() -> int:
    wished = _arguments()
    cache = Home.of(os.environ).root / "bench"
    try:
        with rig(cache) as ready:
            if wished.hold:
                return _hold(ready, wished.ways[-1])
            found = [
                _put_through(ready, way, wished.scenarios, soak=wished.soak) for way in wished.ways
            ]
    except NoCompiler as error:
        _tell(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    run = Run(this_machine(), shlex.join(["make bench", *sys.argv[1:]]), found)
    kept = cache / "last.json"
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    _tell(f"kept in {kept}")
    return 0


def _put_through(ready: Rig, way: Way, scenarios: Sequence[Scenario], *, soak: bool) -> Found:
    _tell(way.title)
    found = Found(way.name, way.title)
    try:
        with ready.standing(way) as standing:
            found = msgspec.structs.replace(found, version=standing.launch.version)
            standing.measure(WARM_UP)
            for scenario in scenarios:
                measured = standing.measure(scenario)
                found.measured[scenario.name] = measured
                _tell(f"  {scenario.name:14}{_in_short(measured, scenario)}")
            if soak and way.name == _SOAKED:
                found.memory.extend(_soak(standing))
            return msgspec.structs.replace(
                found, peak_mb=standing.usage().peak_mb, traces=_trace_outcomes(standing)
            )
    except (NotHere, ServingError) as trouble:
        _tell(f"  {trouble}")
        return msgspec.structs.replace(found, trouble=str(trouble).partition("\n")[0])


def _soak(standing: Standing) -> Iterable[Memory]:
    """Resident memory over a million requests, or over what fits into the time."""
    step = Demand(_SOAK_STEP_WITHIN_S, clients=CLIENTS, requests=_SOAK_REQUESTS // _SOAK_STEPS)
    done = 0
    for _ in range(_SOAK_STEPS):
        done += standing.measure(Scenario("soak", step)).heard.answered
        memory = Memory(done, standing.usage().rss_mb)
        _tell(f"  soak          {memory.rss_mb:.0f} MB after {memory.requests} requests")
        yield memory


def _in_short(measured: Measured, scenario: Scenario) -> str:
    heard, parts = measured.heard, []
    if scenario.pace is None:
        parts += [f"{heard.per_s:.0f}/s", f"{measured.cpu_ms_per_request:.3f} ms CPU a request"]
    else:
        chunks_per_s = heard.events / heard.seconds
        parts += [f"{chunks_per_s:.0f} chunks/s", f"{measured.cpu_us_per_chunk:.1f} us CPU a chunk"]
    if (first := heard.first_event_us) is not None:
        parts.append(f"first p50 {first.p50 / 1e3:.2f} p99 {first.p99 / 1e3:.2f} ms")
    if (latency := heard.latency_us) is not None:
        parts.append(f"whole p50 {latency.p50 / 1e3:.2f} p99 {latency.p99 / 1e3:.2f} ms")
    if heard.failed:
        parts.append(f"FAILED {heard.failed} { ({k: n for k, n in heard.errors.items() if n}) }")
    return ", ".join(parts)


def _trace_outcomes(standing: Standing) -> dict[str, float]:
    """The gateway's own count of its trace records."""
    if not standing.way.is_ours:
        return {}
    url = f"http://{HOST}:{standing.port}/metrics"
    try:
        text = httpx.get(url, timeout=60.0, trust_env=False).text
    except httpx.TransportError as trouble:
        _tell(f"  {url}: {trouble}")
        return {}
    return labelled(text, "tutelage_traces_total", "outcome")


def _hold(ready: Rig, way: Way) -> int:
    """Leaves it standing for a profiler, and for load by hand."""
    with ready.standing(way) as standing:
        _tell(f"{way.title}: process {standing.pid}, port {standing.port}; Ctrl-C ends it")
        for scenario in (*FULL[:1], *FULL[2:3], *FULL[4:]):
            _tell(f"\n# {scenario.name}")
            if (pace := scenario.pace) is not None:
                path = f"/set?chunks={pace.tokens}&interval_us={pace.interval_s * 1e6:.0f}"
                _tell(f"curl '{ready.mock.base_url}{path}'")
            body, key = standing.body(scenario), standing.launch.key
            load = ready.load.command(scenario.demand, port=standing.port, body=body, key=key)
            _tell(shlex.join(load))
        until = time.monotonic() + _HOLD_S
        try:
            while time.monotonic() < until and _stands(standing):
                time.sleep(0.5)
        except KeyboardInterrupt:
            _tell("")
    return 0


def _stands(standing: Standing) -> bool:
    return standing.server is None or standing.server.wait(0) is None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="ours only, shorter")
    parser.add_argument("--ways", help=f"some of {', '.join(WAYS)}")
    parser.add_argument("--scenarios", help="some of: " + ", ".join(one.name for one in FULL))
    parser.add_argument("--hold", action="store_true", help="start the way and put no load on it")
    parser.add_argument("--profile", metavar="FILE", help="the gateway under cProfile, into FILE")
    wished = parser.parse_args()
    wished.soak = not (wished.quick or wished.ways or wished.scenarios)
    ways = tuple(WAYS.values()) if not wished.quick else (DIRECT, *OURS)
    if wished.ways:
        ways = tuple(WAYS[name] for name in _chosen(parser, wished.ways, list(WAYS)))
    if wished.profile:
        profiler = ("-m", "cProfile", "-o", str(Path(wished.profile).absolute()))
        launch = partial(ours.gateway, wrapper=profiler)
        ways = tuple(replace(way, launch=launch) if way.is_ours else way for way in ways)
    wished.ways = ways
    scenarios = {one.name: one for one in (QUICK if wished.quick else FULL)}
    if wished.scenarios:
        names = _chosen(parser, wished.scenarios, list(scenarios))
        scenarios = {name: scenarios[name] for name in names}
    wished.scenarios = tuple(scenarios.values())
    return wished


def _chosen(parser: argparse.ArgumentParser, wished: str, names: list[str]) -> list[str]:
    """The names that start with one of the words of a comma-separated list, in their own order."""
    words = [word.strip() for word in wished.split(",")]
    for word in words:
        if not any(name.startswith(word) for name in names):
            parser.error(f"nothing starts with {word!r}; there are: {', '.join(names)}")
    return [name for name in names if name.startswith(tuple(words))]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
