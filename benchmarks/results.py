"""What a run found, as it is kept in JSON and read by the report."""

import msgspec

from benchmarks.load import Heard
from benchmarks.machine import Machine


class Measured(msgspec.Struct, frozen=True):
    """One scenario. `cpu_s`: the server's own; `upstream_*`: what reached the mock meanwhile."""

    heard: Heard
    cpu_s: float
    upstream_requests: int
    upstream_chunks: int

    @property
    def cpu_ms_per_request(self) -> float:
        return self.cpu_s * 1e3 / max(1, self.heard.answered)

    @property
    def chunks_per_s(self) -> float:
        return self.heard.events / self.heard.seconds

    @property
    def cpu_us_per_chunk(self) -> float:
        return self.cpu_s * 1e6 / max(1, self.upstream_chunks)


class Memory(msgspec.Struct, frozen=True):
    """Resident megabytes after so many requests."""

    requests: int
    rss_mb: float


class Found(msgspec.Struct, frozen=True):
    """All about one way. `trouble`: why it is not there, or did not come to its end.

    `traces`: what became of the gateway's trace records, by outcome.
    """

    name: str
    title: str
    version: str = ""
    peak_mb: float = 0.0
    measured: dict[str, Measured] = {}
    memory: list[Memory] = []
    traces: dict[str, float] = {}
    trouble: str = ""


class Run(msgspec.Struct, frozen=True):
    machine: Machine
    command: str
    found: list[Found]

    def of(self, name: str) -> Found | None:
        return next((one for one in self.found if one.name == name), None)
