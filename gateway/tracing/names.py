"""Every name that a span or an attribute has. The GenAI conventions move: they are a table.

Sources: OpenTelemetry's semantic conventions for HTTP (stable) and for generative AI (in
development; the provider was `gen_ai.system` up to 1.36).
"""

from dataclasses import dataclass
from typing import Final

METHOD: Final = "http.request.method"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"
ERROR: Final = "error.type"
ADDRESS: Final = "server.address"
PORT: Final = "server.port"

TRACE_ID: Final = "tutelage.trace_id"
"""Ours, as in `x-tutelage-trace-id`, where a client's own trace goes on."""
TUTELAGE_ROUTE: Final = "tutelage.route"
SERVED_BY: Final = "tutelage.served_by"
REASON: Final = "tutelage.reason"
OUTCOME: Final = "tutelage.outcome"
ROLE: Final = "tutelage.role"
UPSTREAM: Final = "tutelage.upstream"
COMPLETE: Final = "tutelage.complete"
CONFIDENCE: Final = "tutelage.confidence"
THRESHOLD: Final = "tutelage.threshold"
TOKENS_SEEN: Final = "tutelage.tokens_seen"
COST_USD: Final = "tutelage.cost_usd"
RULE: Final = "tutelage.verification.rule"
ENDING: Final = "tutelage.verification.outcome"
KEPT: Final = "tutelage.verification.kept_tokens"
FIRST_TOKEN: Final = "tutelage.first_token"  # an event  # noqa: S105 - no password

GATE: Final = "gate"
VERIFICATION: Final = "verification"
SHADOW: Final = "shadow"

OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/responses": "chat",
    "/embeddings": "embeddings",
}
"""`gen_ai.operation.name` by path; others have none."""

PROVIDER: Final = "openai"
"""Whose API the upstreams speak."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """The names of generative AI."""

    provider: str = "gen_ai.provider.name"
    operation: str = "gen_ai.operation.name"
    request_model: str = "gen_ai.request.model"
    input_tokens: str = "gen_ai.usage.input_tokens"
    output_tokens: str = "gen_ai.usage.output_tokens"
    finish_reasons: str = "gen_ai.response.finish_reasons"


CONVENTIONS: Final = {
    "latest": Conventions(),
    "1.36": Conventions(provider="gen_ai.system"),
}
