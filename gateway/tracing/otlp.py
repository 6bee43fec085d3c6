"""Spans go to a collector in batches, from a thread of the SDK's."""

from importlib.metadata import version

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from gateway.tracing.names import CONVENTIONS
from gateway.tracing.settings import Otel
from gateway.tracing.spans import SpanMaker
from gateway.tracing.tracer import Tracer

_NAME = "tutelage"


def open_tracer(settings: Otel, endpoint: str) -> Tracer:
    """Its `close` sends what waits."""
    about = {SERVICE_NAME: settings.service, SERVICE_VERSION: version(_NAME)}
    maker = SpanMaker(
        resource=Resource.create(about),
        scope=InstrumentationScope(_NAME, version(_NAME)),
        conventions=CONVENTIONS[settings.conventions],
    )
    sink = BatchSpanProcessor(_exporter(settings, endpoint))
    return Tracer(sink, maker, ratio=settings.ratio, slow_s=settings.slow_s)


def _exporter(settings: Otel, endpoint: str) -> SpanExporter:
    # Either brings libraries that the other does without, grpc among them.
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter as ByGrpc,
        )

        return ByGrpc(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter as ByHttp,
    )

    return ByHttp(endpoint=f"{endpoint}/v1/traces")
