"""What a gateway adds between a client and an engine: ours in its modes, nginx, LiteLLM, Rust.

    make bench                           everything, in about 15 minutes; writes README.md
    make bench ARGS=--quick              ours only, in under 3 minutes; writes nothing
    make bench ARGS='--ways pass --scenarios closed,burst'      some, by the starts of their names
    make bench ARGS='--ways pass --hold'         starts it, tells how to put load on it, and waits

Each server runs alone on core 0; the mock engine and the load generator share core 1. Machines
differ and are noisy: read the ratios within one run.
"""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import ours, report
from benchmarks.machine import HERE, this_machine
from benchmarks.programs import NoCompiler
from benchmarks.results import Run
from benchmarks.rig import Rig, Standing, rig
from benchmarks.scenarios import FULL, QUICK
from benchmarks.trial import tell, trial
from benchmarks.ways import DIRECT, OURS, WAYS, Way
from serving.home import Home

_HOLD_S = 1800


def main() -> int:
    wished = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both leave nothing behind
    cache = Home.of(os.environ).root / "bench"
    try:
        with rig(cache) as ready:
            if wished.hold:
                return _hold(ready, wished.ways[-1])
            found = [trial(ready, way, wished.scenarios, soak=wished.soak) for way in wished.ways]
    except NoCompiler as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    run = Run(this_machine(), _command(sys.argv[1:]), found)
    kept = cache / "last.json"
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(run)))
    print(report.tables(run))
    tell(f"kept in {kept}")
    if wished.write:
        report.write(run, HERE)
    return 0


def _command(arguments: Sequence[str]) -> str:
    return f'make bench ARGS="{shlex.join(arguments)}"' if arguments else "make bench"


def _hold(ready: Rig, way: Way) -> int:
    """Leaves it standing for a profiler, and for load by hand."""
    with ready.standing(way) as standing:
        tell(f"{way.title}: process {standing.pid}, port {standing.port}; Ctrl-C ends it")
        for scenario in (*FULL[:1], *FULL[2:3], *FULL[4:]):
            tell(f"\n# {scenario.name}")
            if (pace := scenario.pace) is not None:
                path = f"/set?chunks={pace.tokens}&interval_us={pace.interval_s * 1e6:.0f}"
                tell(f"curl '{ready.mock.base_url}{path}'")
            body, key = standing.body(scenario), standing.launch.key
            load = ready.load.command(scenario.demand, port=standing.port, body=body, key=key)
            tell(shlex.join(load))
        until = time.monotonic() + _HOLD_S
        try:
            while time.monotonic() < until and _stands(standing):
                time.sleep(0.5)
        except KeyboardInterrupt:
            tell("")
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
    wished.soak = wished.write = not (wished.quick or wished.ways or wished.scenarios)
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


if __name__ == "__main__":
    sys.exit(main())
