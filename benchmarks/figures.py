"""Single figures read off a run: of one way, some of them against direct in the same run."""

from collections.abc import Callable

from benchmarks.results import Found, Measured, Run
from benchmarks.scenarios import BURST_CLIENTS, STREAMS
from benchmarks.ways import DIRECT

Figure = Callable[[Run, Found], float | None]
"""None where it was not measured, or has no meaning."""


def added_ms(scenario: str, quantile: str, *, first: bool = False) -> Figure:
    """What a way adds to direct: the same quantile of both, subtracted."""

    def of(found: Found | None) -> float | None:
        measured = found.measured.get(scenario) if found is not None else None
        if measured is None:
            return None
        spread = measured.heard.first_event_us if first else measured.heard.latency_us
        return float(getattr(spread, quantile)) if spread is not None else None

    def figure(run: Run, found: Found) -> float | None:
        theirs, direct = of(found), of(run.of(DIRECT.name))
        return (theirs - direct) / 1e3 if theirs is not None and direct is not None else None

    return figure


def measured_in(scenario: str, read: Callable[[Measured], float | None]) -> Figure:
    def figure(_: Run, found: Found) -> float | None:
        measured = found.measured.get(scenario)
        return read(measured) if measured is not None and measured.heard.answered else None

    return figure


def cpu_of(scenario: str, read: Callable[[Measured], float]) -> Figure:
    """The mock's own cost is not the server's: nothing for direct."""
    inner = measured_in(scenario, read)
    return lambda run, found: None if found.name == DIRECT.name else inner(run, found)


def stretched(scenario: str) -> Figure:
    """How long streams took, as a multiple of direct (p50). Those that failed are not in it."""

    def figure(run: Run, found: Found) -> float | None:
        direct = run.of(DIRECT.name)
        ours, theirs = _p50(found, scenario), _p50(direct, scenario) if direct else None
        return ours / theirs if ours and theirs else None

    return figure


def _p50(found: Found, scenario: str) -> float | None:
    measured = found.measured.get(scenario)
    latency = measured.heard.latency_us if measured is not None else None
    return latency.p50 if latency is not None else None


REQUESTS_PER_S = measured_in("closed small", lambda one: one.heard.per_s)
CPU_MS = cpu_of("closed small", lambda one: one.cpu_ms_per_request)
CHUNK_CPU_US = cpu_of(f"paced {STREAMS[-1]}", lambda one: one.cpu_us_per_chunk)
GAP_P99_MS = measured_in(
    f"paced {STREAMS[-1]}", lambda one: one.heard.gap_us.p99 / 1e3 if one.heard.gap_us else None
)
BURST_CHUNKS_PER_S = measured_in(f"burst {BURST_CLIENTS}", lambda one: one.chunks_per_s)
BURST_MS = measured_in(
    "burst 1", lambda one: one.heard.latency_us.mean / 1e3 if one.heard.latency_us else None
)
