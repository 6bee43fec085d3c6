"""Every metric name, in one file. Labels come from the config or a fixed list, not from clients."""

from gateway.exposition import Family, Kind

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
GAP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2.5, 10)
OWN_SECONDS = (5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.05, 0.25, 1)
PROBABILITY = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)
NOBODY = "none"

REQUESTS = Family(
    "tutelage_requests_total",
    Kind.COUNTER,
    "Requests by who served them and why.",
    ("route", "served_by", "reason", "status"),
)
REQUEST_SECONDS = Family(
    "tutelage_request_seconds",
    Kind.HISTOGRAM,
    "From the parsed request to the last byte.",
    ("route", "served_by"),
    SECONDS,
)
FIRST_TOKEN_SECONDS = Family(
    "tutelage_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    "From the parsed request to the first byte of the answer.",
    ("route", "served_by"),
    SECONDS,
)
INTER_TOKEN_SECONDS = Family(
    "tutelage_inter_token_seconds",
    Kind.HISTOGRAM,
    "Between two events of a stream, as the client gets them.",
    ("route", "served_by"),
    GAP_SECONDS,
)
OVERHEAD_SECONDS = Family(
    "tutelage_overhead_seconds",
    Kind.HISTOGRAM,
    "Our own time, not the upstream's, by stage: parse, admit, plan, gate, respond.",
    ("stage",),
    OWN_SECONDS,
)
SECONDS_SUM = REQUEST_SECONDS.width - 1
"""Where the sum of a histogram over `SECONDS` stands."""
CONFIDENCE = Family(
    "tutelage_confidence",
    Kind.HISTOGRAM,
    "The student's confidence where the gate ruled.",
    ("route",),
    PROBABILITY,
)
FALLBACKS = Family(
    "tutelage_fallbacks_total",
    Kind.COUNTER,
    "Requests that the route's first model did not serve.",
    ("route", "reason", "how"),
)
VERIFICATIONS = Family(
    "tutelage_verifications_total",
    Kind.COUNTER,
    "Deferrals read, and takeovers: kept, continued, rejected, unfit, failed, taken_over.",
    ("route", "outcome"),
)
VERIFIED_TOKENS = Family(
    "tutelage_verified_tokens_total",
    Kind.COUNTER,
    "Tokens of the student that the teacher has read: kept in the answer, or rejected.",
    ("route", "outcome"),
)
DRAFT_TOKENS = Family(
    "tutelage_draft_tokens_total",
    Kind.COUNTER,
    "Tokens that were drafted in an engine that speculates: accepted, or rejected.",
    ("route", "release", "outcome"),
)
DRAFT_ACCEPTANCE = Family(
    "tutelage_draft_acceptance_ratio",
    Kind.RATIO,
    "Share of the drafted tokens that were accepted, since the gateway started.",
    ("route", "release"),
)
SHADOW = Family(
    "tutelage_shadow_total",
    Kind.COUNTER,
    "Sampled requests by what became of their shadow: compared, failed, shed.",
    ("route", "outcome"),
)
JUDGED = Family(
    "tutelage_judged_total",
    Kind.COUNTER,
    "Pairs of answers that were compared.",
    ("route", "comparator", "release"),
)
DIVERGENCE = Family(
    "tutelage_divergence_total",
    Kind.COUNTER,
    "Disagreement among the compared pairs; a partial one counts in part.",
    ("route", "comparator", "release"),
)
TOKENS = Family(
    "tutelage_tokens_total",
    Kind.COUNTER,
    "Tokens by model and direction, as the engines report them.",
    ("route", "upstream", "direction"),
)
COST = Family(
    "tutelage_cost_usd_total",
    Kind.COUNTER,
    "What the calls cost at the configured prices.",
    ("route",),
)
FEEDBACK = Family(
    "tutelage_feedback_total",
    Kind.COUNTER,
    "Feedback on answers, by whose answer it was.",
    ("route", "served_by"),
)
FEEDBACK_SCORE = Family(
    "tutelage_feedback_score",
    Kind.HISTOGRAM,
    "The score in [0, 1] of the feedback that gave one.",
    ("route", "served_by"),
    (0.0, 0.25, 0.5, 0.75, 1.0),
)
UNUSABLE_SCHEMAS = Family(
    "tutelage_unusable_schemas_total",
    Kind.COUNTER,
    "JSON schemas of clients that no answer could be checked against.",
    (),
)
TRACES = Family(
    "tutelage_traces_total",
    Kind.COUNTER,
    "Trace records by what became of them.",
    ("outcome",),
)
IN_FLIGHT = Family(
    "tutelage_in_flight",
    Kind.GAUGE,
    "Calls to an upstream that run now.",
    ("upstream",),
)
UPSTREAM_STATE = Family(
    "tutelage_upstream_state",
    Kind.GAUGE,
    "0: called; 1: tried again after failures; 2: not called. The worst among the workers.",
    ("upstream",),
    over_workers=max,
)

RELEASE_INFO = Family(
    "tutelage_release_info",
    Kind.GAUGE,
    "1: this release has this role on the route (incumbent, candidate, refused).",
    ("route", "release", "role"),
    over_workers=max,
)

DRIFT = Family(
    "tutelage_drift",
    Kind.GAUGE,
    "How far the latest readings lie from the reference (PSI).",
    ("route", "signal"),
    over_workers=max,
)
DRIFT_EVIDENCE = Family(
    "tutelage_drift_evidence",
    Kind.GAUGE,
    "For a change since the reference: 1 or more is an alarm of the stated rarity.",
    ("route", "signal"),
    over_workers=max,
)

FAMILIES = (
    *(REQUESTS, REQUEST_SECONDS, FIRST_TOKEN_SECONDS, INTER_TOKEN_SECONDS, OVERHEAD_SECONDS),
    *(CONFIDENCE, FALLBACKS, SHADOW, JUDGED, DIVERGENCE, TOKENS, COST, TRACES),
    *(IN_FLIGHT, UPSTREAM_STATE, UNUSABLE_SCHEMAS, FEEDBACK, FEEDBACK_SCORE),
    *(VERIFICATIONS, VERIFIED_TOKENS, DRAFT_TOKENS, DRAFT_ACCEPTANCE),
    *(RELEASE_INFO, DRIFT, DRIFT_EVIDENCE),
)
