"""Where a request stands in its trace."""

from collections.abc import Callable, Mapping

import msgspec

from gateway.tracing.traceparent import written


class TraceContext(msgspec.Struct, frozen=True):
    """parent: the client's span; None if the trace begins here. new_id: a span's, 64 random bits.

    sampled: what upstreams are told; that the request is kept after all is known at its end.
    state: the client's `tracestate`, handed on as it came.
    """

    trace_id: int
    span_id: int
    parent: int | None
    sampled: bool
    state: str | None
    new_id: Callable[[], int]

    def headers(self, span_id: int) -> Mapping[str, str]:
        """Of a call under the span `span_id`."""
        told = {"traceparent": written(self.trace_id, span_id, sampled=self.sampled)}
        if self.state is not None:
            told["tracestate"] = self.state
        return told
