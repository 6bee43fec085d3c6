"""Whether users are well, and whose doing it is."""

from grafana.board import OURS, RATE, Board, Limits, Look, Panel, Query, Row, Unit


def _quantile(q: float, family: str) -> str:
    by = f"sum by (le, served_by) (rate({family}_bucket{{{OURS}}}{RATE}))"
    return f"histogram_quantile({q}, {by})"


BOARD = Board(
    uid="tutelage-overview",
    title="tutelage: overview",
    about="Rate, errors, duration; who served; what the gateway itself adds.",
    rows=(
        Row(
            "Now",
            (
                Panel(
                    "Requests",
                    "All routes, refused ones included.",
                    Unit.PER_S,
                    (Query(f"sum(rate(tutelage_requests_total{RATE}))", "requests"),),
                    Look.FIGURE,
                    width=4,
                ),
                Panel(
                    "Failed",
                    "Answered with a status of 500 and more. The availability alerts burn on this.",
                    Unit.SHARE,
                    (
                        Query(
                            f'(sum(rate(tutelage_requests_total{{status=~"5.."}}{RATE})) or '
                            f"vector(0)) / sum(rate(tutelage_requests_total{RATE}))",
                            "failed",
                        ),
                    ),
                    Look.FIGURE,
                    Limits(warn=0.005, bad=0.02),
                    width=4,
                ),
                Panel(
                    "Served by the student",
                    "Of what was served. What keeps it from more: Routing.",
                    Unit.SHARE,
                    (
                        Query(
                            f"sum(rate(tutelage_requests_total{{{OURS},"
                            f'served_by="student"}}{RATE})) / sum(rate('
                            f'tutelage_requests_total{{{OURS},served_by!="none"}}{RATE}))',
                            "coverage",
                        ),
                    ),
                    Look.FIGURE,
                    width=4,
                ),
                Panel(
                    "Worst upstream",
                    "0: all are called. 1: one is on trial after failures. 2: one is not called.",
                    Unit.NUMBER,
                    (Query("max(tutelage_upstream_state)", "state"),),
                    Look.FIGURE,
                    Limits(warn=1, bad=2),
                    width=4,
                ),
                Panel(
                    "Calls in flight",
                    "At all upstreams.",
                    Unit.NUMBER,
                    (Query("sum(tutelage_in_flight)", "calls"),),
                    Look.FIGURE,
                    width=4,
                ),
                Panel(
                    "Cost an hour",
                    "At the configured prices, rejected drafts and shadows' answers as recorded.",
                    Unit.USD,
                    (
                        Query(
                            f"sum(rate(tutelage_cost_usd_total{{{OURS}}}{RATE})) * 3600",
                            "USD/h",
                        ),
                    ),
                    Look.FIGURE,
                    width=4,
                ),
            ),
        ),
        Row(
            "Rate and errors",
            (
                Panel(
                    "Requests by who served",
                    "`none`: nobody did; see the next panel.",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (served_by) (rate(tutelage_requests_total{{{OURS}}}{RATE}))",
                            "{{served_by}}",
                        ),
                    ),
                    Look.STACKED,
                    width=12,
                ),
                Panel(
                    "Requests by status",
                    "4xx are clients' doing (route `none`: turned away before there was a route), "
                    "499 left before the answer, 5xx are ours or the engines'.",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (status) (rate(tutelage_requests_total{RATE}))", "{{status}}"
                        ),
                    ),
                    Look.STACKED,
                    width=12,
                ),
            ),
        ),
        Row(
            "Duration",
            (
                Panel(
                    "First token, p95",
                    "Of a stream; a whole answer's first byte. In a cascade it waits for the gate.",
                    Unit.SECONDS,
                    (
                        Query(
                            _quantile(0.95, "tutelage_time_to_first_token_seconds"), "{{served_by}}"
                        ),
                    ),
                ),
                Panel(
                    "Between two events of a stream, p95",
                    "As the client gets them.",
                    Unit.SECONDS,
                    (Query(_quantile(0.95, "tutelage_inter_token_seconds"), "{{served_by}}"),),
                ),
                Panel(
                    "Whole request, p50 and p95",
                    "From the parsed request to the last byte.",
                    Unit.SECONDS,
                    (
                        Query(_quantile(0.5, "tutelage_request_seconds"), "{{served_by}} p50"),
                        Query(_quantile(0.95, "tutelage_request_seconds"), "{{served_by}} p95"),
                    ),
                ),
            ),
        ),
        Row(
            "The gateway itself",
            (
                Panel(
                    "Own time by stage",
                    "Mean of the requests that were timed (one in sixteen). Not the upstreams'.",
                    Unit.SECONDS,
                    (
                        Query(
                            f"sum by (stage) (rate(tutelage_overhead_seconds_sum{RATE})) / "
                            f"sum by (stage) (rate(tutelage_overhead_seconds_count{RATE}))",
                            "{{stage}}",
                        ),
                    ),
                    Look.STACKED,
                    width=12,
                ),
                Panel(
                    "Trace records",
                    "What is dropped is lost, and counted with its reason.",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (outcome) (rate(tutelage_traces_total{RATE}))", "{{outcome}}"
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
    ),
)
