"""Spans for OpenTelemetry: a request, its calls, the gate, the verification; shadows beside it.

settings      the `[otel]` section
context       where a request stands in its trace: ids, and what upstreams are told of it
traceparent   W3C's header, read and written
names         every attribute's name, by convention
spans         a closed record as spans
tracing       what the gateway asks of a tracer
tracer        which requests are kept, and where their spans go
otlp          how they go there: batches, in a thread of the SDK's

Nothing is made while a request runs but its ids: when it is over its record has all the times, and
it is known whether it failed, fell back or was slow. With no `[otel]` it costs one comparison.
"""
