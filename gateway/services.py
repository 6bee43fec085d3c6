"""What a request needs from the process it runs in; made once, in `app`."""

from dataclasses import dataclass

from gateway.admission import Admission
from gateway.background import Background
from gateway.callers import Callers
from gateway.clock import Clock
from gateway.feedback import FindTrace
from gateway.health import Health
from gateway.metrics import Metrics
from gateway.overhead import Overhead
from gateway.release_arms import ReleaseArms
from gateway.route import RouteTable
from gateway.schemas import Schemas
from gateway.tap import Tap
from gateway.trace_ids import TraceIds
from gateway.tracing.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Services:
    routes: RouteTable
    arms: ReleaseArms
    callers: Callers
    admission: Admission
    tap: Tap
    metrics: Metrics
    overhead: Overhead
    health: Health
    background: Background
    schemas: Schemas
    trace_ids: TraceIds
    find_trace: FindTrace
    clock: Clock
    max_body_bytes: int
    tracing: Tracing | None = None
