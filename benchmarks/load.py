"""One run of the load generator: what it is told, and what it says."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.pinned import pinned

_MARGIN_S = 15.0


class Spread(msgspec.Struct, frozen=True):
    """How a time in microseconds is spread over `count` samples."""

    count: int
    mean: float
    min: int
    p50: int
    p95: int
    p99: int
    max: int


class Heard(msgspec.Struct, frozen=True):
    """What `load` prints. The spreads are None where there was no sample."""

    seconds: float
    issued: int
    answered: int
    per_s: float
    events: int
    body_bytes: int
    clients: int
    reconnected: int
    bad_status: int
    errors: dict[str, int]
    latency_us: Spread | None
    first_event_us: Spread | None
    gap_us: Spread | None

    @property
    def failed(self) -> int:
        return sum(self.errors.values())


@dataclass(frozen=True, slots=True)
class Demand:
    """An open loop where `rate_per_s` is given; else `clients` ask one request after another.

    They do so for `seconds`, or until `requests` were asked, which must be within `seconds`.
    `ramp_s`: over how long the clients start. `grace_s`: how long the last answers may take.
    """

    seconds: float
    clients: int = 1
    requests: int | None = None
    rate_per_s: float | None = None
    ramp_s: float = 0.0
    grace_s: float = 10.0

    def arguments(self) -> list[str]:
        told = ["--seconds", f"{self.seconds:g}", "--grace-s", f"{self.grace_s:g}"]
        if self.rate_per_s is not None:
            return [*told, "--rate", f"{self.rate_per_s:g}"]
        if self.requests is not None:
            told += ["--requests", str(self.requests)]
        return [*told, "--connections", str(self.clients), "--ramp-ms", f"{self.ramp_s * 1e3:.0f}"]


@dataclass(frozen=True, slots=True)
class LoadGenerator:
    program: Path
    core: int

    def command(self, demand: Demand, *, port: int, body: Path, key: str) -> list[str]:
        where = ["--port", str(port), "--body", str(body), "--key", key]
        return pinned(self.core, [str(self.program), *where, *demand.arguments()])

    def run(self, demand: Demand, *, port: int, body: Path, key: str) -> Heard:
        """Blocks until the load is over; `load` ends by itself."""
        done = subprocess.run(
            self.command(demand, port=port, body=body, key=key),
            stdout=subprocess.PIPE,
            check=True,
            timeout=demand.seconds + demand.grace_s + _MARGIN_S,
        )
        return msgspec.json.decode(done.stdout, type=Heard)
