"""Every error a client can be told about, and how it reads in OpenAI's shape.

GatewayError
├── BadRequest             400  the client can fix it; names the field
├── Unauthorized           401  no key, or one that does not work
├── UnknownModel           404
├── NoSuchTrace            404  feedback on an answer that nobody gave
├── NoSuchPath        404, 405  no such URL, or not with this method
├── NotServed              404  the one model that could answer does not serve this endpoint
├── TooLarge               413
├── NotJson                415  a body of another kind
├── Overloaded             429  try later; carries retry_after_s
├── StoreUnavailable       503  the trace store cannot be read; the log says why
├── UpstreamRejected       4xx  the engine refused the request itself: its words, our shape
│   ├── ContextTooLong     400  it does not fit that model's context; another's it may
│   └── ContentFiltered    400
└── UpstreamFailed         502  an engine failed before the first byte
    ├── UpstreamUnavailable 503 nobody was asked, or the engine said so; carries retry_after_s
    │   └── GaveWay             a call off the path, not made: its slot is kept for clients
    ├── NoEndpoint         502  it does not serve the endpoint at all
    ├── UpstreamTimedOut   504
    └── UpstreamCut        502  the engine's answer ended before its end
ClientLeft                      nobody is listening any more; never rendered
"""

import msgspec


class GatewayError(Exception):
    """Base of every error raised on purpose; anything else is a bug and a 500."""

    status: int = 500
    type: str = "server_error"
    code: str = "internal_error"
    param: str | None = None
    retry_after_s: float | None = None


class BadRequest(GatewayError):
    """`field` names what to mend; `problem` says what is wrong with it and what would do."""

    status, type, code = 400, "invalid_request_error", "invalid_request"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"`{field}`: {problem}" if field else problem)
        self.param = field or None


class Unauthorized(GatewayError):
    status, type, code = 401, "invalid_request_error", "invalid_api_key"


class UnknownModel(GatewayError):
    status, type, code, param = 404, "invalid_request_error", "model_not_found", "model"

    def __init__(self, model: str, known: list[str]) -> None:
        super().__init__(f"the model `{model}` does not exist here; known: {', '.join(known)}")


class NoSuchTrace(GatewayError):
    status, type, code, param = 404, "invalid_request_error", "trace_not_found", "trace_id"

    def __init__(self, trace_id: str) -> None:
        super().__init__(f"trace {trace_id} is not in the store: an answer's x-tutelage-trace-id")


class NoSuchPath(GatewayError):
    type, code = "invalid_request_error", "unknown_url"

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail}; see GET /openapi.json for what there is")
        self.status = status


class NotServed(GatewayError):
    """OpenAI's answer where a model and an endpoint do not go together. `problem`: the engine's."""

    status, type, code, param = 404, "invalid_request_error", "endpoint_not_supported", "model"

    def __init__(self, model: str, path: str, problem: str) -> None:
        super().__init__(
            f"`{model}` does not serve {path}: {problem}; name a route or pin whose upstream does"
        )


class TooLarge(GatewayError):
    status, type, code = 413, "invalid_request_error", "request_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the request body is over {limit_bytes} bytes (server.max_body_bytes)")


class NotJson(GatewayError):
    status, type, code = 415, "invalid_request_error", "unsupported_media_type"

    def __init__(self, content_type: str) -> None:
        super().__init__(f"content-type {content_type!r} is not served; send application/json")


class Overloaded(GatewayError):
    status, type, code = 429, "rate_limit_error", "overloaded"

    def __init__(self, problem: str, retry_after_s: float) -> None:
        super().__init__(f"{problem}; retry after {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class StoreUnavailable(GatewayError):
    status, code = 503, "store_unavailable"

    def __init__(self) -> None:
        super().__init__("the trace store cannot be read at the moment")


class UpstreamRejected(GatewayError):
    """An engine's own 4xx, which another engine or the client may be able to answer.

    `code`: the engine's, if it is a word; else the one that goes with `status`.
    """

    def __init__(
        self,
        upstream: str,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(f"{upstream}: {message}")
        self.status = status
        self.type = "rate_limit_error" if status == _TOO_MANY else "invalid_request_error"
        self.param = param
        self.code = code or _REJECTION_CODES.get(status, "invalid_request")


_TOO_MANY = 429
_REJECTION_CODES = {
    404: "not_found",
    413: "request_too_large",
    _TOO_MANY: "rate_limit_exceeded",
}


class ContextTooLong(UpstreamRejected):
    """Prompt and wished-for answer together are longer than the model's context."""

    def __init__(self, upstream: str, message: str, *, param: str | None = None) -> None:
        super().__init__(upstream, 400, message, param=param, code="context_length_exceeded")


class ContentFiltered(UpstreamRejected):
    """The engine's own filter refused the prompt."""

    def __init__(self, upstream: str, message: str, *, param: str | None = None) -> None:
        super().__init__(upstream, 400, message, param=param, code="content_filter")


class UpstreamFailed(GatewayError):
    status, code = 502, "upstream_failed"

    def __init__(self, upstream: str, problem: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{upstream}: {problem}")
        self.upstream = upstream
        self.retry_after_s = retry_after_s


class UpstreamUnavailable(UpstreamFailed):
    """For now: its circuit is open, its slots are taken, or it said so itself (503)."""

    status, code = 503, "upstream_unavailable"


class GaveWay(UpstreamUnavailable):
    """Nobody is told: work off the path has no client."""


class NoEndpoint(UpstreamFailed):
    """`told`: the engine's own words. It is well otherwise: no circuit opens for this."""

    def __init__(self, upstream: str, told: str) -> None:
        super().__init__(upstream, f"the engine does not serve this endpoint ({told})")


class UpstreamTimedOut(UpstreamFailed):
    status, code = 504, "upstream_timed_out"


class UpstreamCut(UpstreamFailed):
    code = "upstream_cut"


class ClientLeft(Exception):
    """The client closed the connection before the answer's end."""


def openai_body(error: GatewayError) -> bytes:
    """Render as `{"error": {"message", "type", "param", "code"}}`."""
    return msgspec.json.encode(
        {
            "error": {
                "message": str(error),
                "type": error.type,
                "param": error.param,
                "code": error.code,
            }
        }
    )
