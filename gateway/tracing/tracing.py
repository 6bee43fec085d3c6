"""What the gateway asks of a tracer. The one there is needs OpenTelemetry's SDK, an extra."""

from typing import Protocol

from gateway.http import Http
from gateway.record import Record
from gateway.route import Role
from gateway.tracing.context import TraceContext
from gateway.transcript import Transcript


class Tracing(Protocol):
    def begin(self, trace_id: str, http: Http, /) -> TraceContext:
        """A request's place in its trace; trace_id is ours."""

    def closed(self, record: Record, context: TraceContext, /) -> None:
        """A request is over."""

    def shadowed(self, record: Record, role: Role, heard: Transcript, /) -> None:
        """The other model, `role`, has answered off the path, or failed."""
