"""One way, put through its scenarios. What goes on is told on stderr, line by line."""

import sys
from collections.abc import Iterable, Sequence

import httpx
import msgspec

from benchmarks.load import Demand
from benchmarks.place import NotHere
from benchmarks.prometheus import labelled
from benchmarks.results import Found, Measured, Memory
from benchmarks.rig import HOST, Rig, Standing
from benchmarks.scenarios import CLIENTS, WARM_UP, Scenario
from benchmarks.ways import Way
from serving.errors import ServingError

_SOAKED = "pass"
_SOAK_REQUESTS = 1_000_000
_SOAK_STEPS = 10
_SOAK_STEP_WITHIN_S = 15.0
_TIMEOUT_S = 60.0


def trial(rig: Rig, way: Way, scenarios: Sequence[Scenario], *, soak: bool) -> Found:
    """All that can be found out; a server that fails says why in `trouble`."""
    tell(way.title)
    found = Found(way.name, way.title)
    try:
        for standing in _put_through(rig, way, scenarios, found.measured):
            if soak and way.name == _SOAKED:
                found.memory.extend(_soak(standing))
            found = msgspec.structs.replace(
                found,
                version=standing.launch.version,
                peak_mb=max(found.peak_mb, standing.usage().peak_mb),
                traces=_trace_outcomes(standing),
            )
    except NotHere as reason:
        tell(f"  {reason}")
        return msgspec.structs.replace(found, trouble=f"not found: {reason}")
    except ServingError as failure:
        tell(f"  {failure}")
        return msgspec.structs.replace(found, trouble="failed; its log says why")
    return found


def _put_through(
    rig: Rig, way: Way, scenarios: Sequence[Scenario], measured: dict[str, Measured]
) -> Iterable[Standing]:
    """Fills `measured`. Yields each server at the end of its scenarios.

    There is more than one where requests were left unfinished: the server is still busy with them,
    and what follows would pay for it.
    """
    left = list(scenarios)
    while left:
        with rig.standing(way) as standing:
            standing.measure(WARM_UP)
            while left:
                scenario = left.pop(0)
                one = measured[scenario.name] = standing.measure(scenario)
                tell(f"  {scenario.name:14}{_in_short(one, scenario)}")
                if one.heard.errors.get("unfinished"):
                    break
            yield standing


def _soak(standing: Standing) -> Iterable[Memory]:
    """Resident memory over a million requests, or over what fits into the time."""
    step = Demand(_SOAK_STEP_WITHIN_S, clients=CLIENTS, requests=_SOAK_REQUESTS // _SOAK_STEPS)
    done = 0
    for _ in range(_SOAK_STEPS):
        done += standing.measure(Scenario("soak", step)).heard.answered
        memory = Memory(done, standing.usage().rss_mb)
        tell(f"  {'soak':14}{memory.rss_mb:.0f} MB after {memory.requests} requests")
        yield memory


def _in_short(measured: Measured, scenario: Scenario) -> str:
    heard, parts = measured.heard, []
    if scenario.pace is None:
        parts += [f"{heard.per_s:.0f}/s", f"{measured.cpu_ms_per_request:.3f} ms CPU a request"]
    else:
        parts += [
            f"{measured.chunks_per_s:.0f} chunks/s",
            f"{measured.cpu_us_per_chunk:.1f} us CPU a chunk",
        ]
    if (first := heard.first_event_us) is not None:
        parts.append(f"first p50 {first.p50 / 1e3:.2f} p99 {first.p99 / 1e3:.2f} ms")
    if (latency := heard.latency_us) is not None:
        parts.append(f"whole p50 {latency.p50 / 1e3:.2f} p99 {latency.p99 / 1e3:.2f} ms")
    if heard.failed:
        kinds = ", ".join(f"{number} {kind}" for kind, number in heard.errors.items() if number)
        parts.append(f"FAILED: {kinds}")
    return ", ".join(parts)


def _trace_outcomes(standing: Standing) -> dict[str, float]:
    """The gateway's own count of its trace records."""
    if not standing.way.is_ours:
        return {}
    url = f"http://{HOST}:{standing.port}/metrics"
    try:
        text = httpx.get(url, timeout=_TIMEOUT_S, trust_env=False).text
    except httpx.TransportError as trouble:
        tell(f"  {url}: {trouble}")
        return {}
    return labelled(text, "tutelage_traces_total", "outcome")


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
