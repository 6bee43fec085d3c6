"""What the student serves, and why not more."""

from grafana.board import OURS, RATE, Board, Look, Panel, Query, Row, Unit


def _confidence(q: float) -> str:
    buckets = f"sum by (le, route) (rate(tutelage_confidence_bucket{{{OURS}}}{RATE}))"
    return f"histogram_quantile({q}, {buckets})"


BOARD = Board(
    uid="tutelage-routing",
    title="tutelage: routing",
    about="Coverage, confidence, reasons, verification, tokens and cost of each route.",
    rows=(
        Row(
            "Who serves",
            (
                Panel(
                    "Coverage",
                    "The student's share of what was served. It falls when the traffic becomes "
                    "harder, the threshold stricter or the student worse.",
                    Unit.SHARE,
                    (
                        Query(
                            f"sum by (route) (rate(tutelage_requests_total{{{OURS},"
                            f'served_by="student"}}{RATE})) / sum by (route) (rate('
                            f'tutelage_requests_total{{{OURS},served_by!="none"}}{RATE}))',
                            "{{route}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Reasons",
                    "Why each request went where it went (`x-tutelage-reason`).",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (reason) (rate(tutelage_requests_total{{{OURS}}}{RATE}))",
                            "{{reason}}",
                        ),
                    ),
                    Look.STACKED,
                    width=12,
                ),
            ),
        ),
        Row(
            "Confidence and fallbacks",
            (
                Panel(
                    "Confidence",
                    "Tenth, half and nine tenths of the requests that the gate ruled on. A drift "
                    "here comes before a drift in coverage.",
                    Unit.SHARE,
                    tuple(
                        Query(_confidence(q), f"{{{{route}}}} p{q * 100:.0f}")
                        for q in (0.1, 0.5, 0.9)
                    ),
                    width=12,
                ),
                Panel(
                    "Fallbacks",
                    "Requests that the route's first model did not serve, by reason and by what "
                    "was done.",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (reason, how) (rate(tutelage_fallbacks_total{{{OURS}}}"
                            f"{RATE}))",
                            "{{reason}}: {{how}}",
                        ),
                    ),
                    Look.STACKED,
                    width=12,
                ),
            ),
        ),
        Row(
            "Verification",
            (
                Panel(
                    "Verified deferrals",
                    "kept: the whole draft stands. continued: a part of it. rejected: the teacher "
                    "wrote anew. unfit and failed: it was not read.",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (outcome) (rate(tutelage_verifications_total{{{OURS}}}"
                            f"{RATE}))",
                            "{{outcome}}",
                        ),
                    ),
                    Look.STACKED,
                    width=12,
                ),
                Panel(
                    "Student's tokens that stand",
                    "Of those that the teacher has read. Decoding that was saved.",
                    Unit.SHARE,
                    (
                        Query(
                            f"sum by (route) (rate(tutelage_verified_tokens_total{{{OURS},"
                            f'outcome="kept"}}{RATE})) / sum by (route) (rate('
                            f"tutelage_verified_tokens_total{{{OURS}}}{RATE}))",
                            "{{route}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Tokens and money",
            (
                Panel(
                    "Tokens",
                    "As the engines report them, drafts included.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"sum by (upstream, direction) (rate(tutelage_tokens_total{{{OURS}}}"
                            f"{RATE}))",
                            "{{upstream}} {{direction}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Cost an hour",
                    "At the configured prices.",
                    Unit.USD,
                    (
                        Query(
                            f"sum by (route) (rate(tutelage_cost_usd_total{{{OURS}}}{RATE}))"
                            " * 3600",
                            "{{route}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
    ),
)
