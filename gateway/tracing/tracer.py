"""Which requests are kept as spans, and the trace that each of them belongs to."""

import random
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from opentelemetry.sdk.trace import ReadableSpan

from gateway.http import Http
from gateway.record import Record
from gateway.route import Role
from gateway.tracing.context import TraceContext
from gateway.tracing.spans import SpanMaker
from gateway.tracing.traceparent import parse
from gateway.transcript import Transcript
from router.trace import Outcome

_TRACEPARENT, _TRACESTATE = b"traceparent", b"tracestate"
_RANDOM_BITS = 56
"""Of a trace id, from the right: W3C's level 2 promises no more, and a UUIDv7 has them."""
_ID_BITS = 64


class Sink(Protocol):
    """Where spans go; never waits. The SDK's span processors are some."""

    def on_end(self, span: ReadableSpan) -> None: ...
    def shutdown(self) -> None: ...


class Tracer:
    """ratio: the share of requests that is kept; slow_s: kept whatever the draw says.

    A client that samples decides for its own traces. random_bits(n): an integer of n bits.
    """

    def __init__(
        self,
        sink: Sink,
        maker: SpanMaker,
        *,
        ratio: float,
        slow_s: float,
        random_bits: Callable[[int], int] = random.getrandbits,
    ) -> None:
        self._sink = sink
        self._maker = maker
        self._drawn = round(ratio * (1 << _RANDOM_BITS))
        self._slow_s = slow_s
        self._random_bits = random_bits

    def begin(self, trace_id: str, http: Http) -> TraceContext:
        """Where a client's trace goes on it keeps its id; else the trace has the request's own."""
        header = http.header(_TRACEPARENT)
        parent = parse(header) if header is not None else None
        if parent is not None:
            return TraceContext(
                trace_id=parent.trace_id,
                span_id=self._new_id(),
                parent=parent.span_id,
                sampled=parent.sampled,
                state=http.header(_TRACESTATE),
                new_id=self._new_id,
            )
        own = UUID(trace_id).int
        return TraceContext(
            trace_id=own,
            span_id=self._new_id(),
            parent=None,
            sampled=own & ((1 << _RANDOM_BITS) - 1) < self._drawn,
            state=None,
            new_id=self._new_id,
        )

    def closed(self, record: Record, context: TraceContext) -> None:
        """A request is over."""
        if self._keeps(record, context):
            for span in self._maker.of_request(record, context):
                self._sink.on_end(span)

    def shadowed(self, record: Record, role: Role, heard: Transcript) -> None:
        """The other model has answered, or failed, off the path."""
        context = record.context
        if context is not None and self._keeps(record, context):
            self._sink.on_end(self._maker.of_shadow(record, context, role, heard))

    def close(self) -> None:
        """Sends what waits: as long as the sink's own timeout."""
        self._sink.shutdown()

    def _keeps(self, record: Record, context: TraceContext) -> bool:
        return (
            context.sampled
            or record.outcome in {Outcome.FAILED, Outcome.CUT}
            or record.fell_back
            or record.total_s >= self._slow_s
        )

    def _new_id(self) -> int:
        while not (number := self._random_bits(_ID_BITS)):
            pass
        return number
