"""The `[otel]` section."""

from importlib.util import find_spec
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.section import Section, Share

_EXPORTERS = "opentelemetry.exporter.otlp.proto"


def _collector(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(
            f"{url!r} must start with http:// or https://; collectors listen at "
            "http://HOST:4318 (protocol = 'http') and http://HOST:4317 ('grpc')"
        )
    return url.rstrip("/")


class Otel(Section):
    """Without `endpoint` there are no spans.

    `ratio` of the requests are kept, and all that failed, fell back or took `slow_s`. Headers and
    certificates for the collector, and more attributes of the resource, come from OpenTelemetry's
    own environment variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES, …).
    """

    endpoint: Annotated[str, AfterValidator(_collector)] | None = None
    protocol: Literal["http", "grpc"] = "http"
    service: Annotated[str, Field(min_length=1)] = "tutelage"
    ratio: Share = 0.01
    slow_s: Annotated[float, Field(gt=0, le=86_400)] = 10.0
    conventions: Literal["latest", "1.36"] = "latest"

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        if self.endpoint is not None and not _found(f"{_EXPORTERS}.{self.protocol}"):
            raise ValueError(
                "endpoint needs OpenTelemetry's SDK and exporters: pip install 'tutelage[otel]'"
            )
        return self


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even a package above it
        return False
