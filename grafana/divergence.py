"""Whether student and teacher agree."""

from grafana.board import OURS, RATE, Board, Limits, Look, Panel, Query, Row, Unit

BOARD = Board(
    uid="tutelage-divergence",
    title="tutelage: divergence",
    about="Compared pairs, shadows, drafts and feedback.",
    rows=(
        Row(
            "Agreement",
            (
                Panel(
                    "Agreement of the compared pairs",
                    "A sample of what the student served, and every deferral whose draft was heard "
                    "to its end: lower than the agreement of all traffic. `tutelage traces stats` "
                    "has the weighted estimate with its interval.",
                    Unit.SHARE,
                    (
                        Query(
                            f"1 - sum by (route, comparator) (rate(tutelage_divergence_total"
                            f"{{{OURS}}}[1h])) / sum by (route, comparator) (rate("
                            f"tutelage_judged_total{{{OURS}}}[1h]))",
                            "{{route}}: {{comparator}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Pairs an hour",
                    "How much the panel beside rests on.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"sum by (route, comparator) (increase(tutelage_judged_total{{{OURS}}}"
                            "[1h]))",
                            "{{route}}: {{comparator}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Change",
            (
                Panel(
                    "Evidence of a change",
                    "Against the traffic that the threshold was found on. From 1 on it is an "
                    "alarm, of the rarity that `drift.false_alarm_every` states.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"max by (route, signal) (tutelage_drift_evidence{{{OURS}}})",
                            "{{route}}: {{signal}}",
                        ),
                    ),
                    limits=Limits(warn=0.1, bad=1.0),
                    width=12,
                ),
                Panel(
                    "How far traffic has moved",
                    "PSI of the latest 1,000 readings. What chance makes of it depends on their "
                    "number: `tutelage traces drift` tells.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"max by (route, signal) (tutelage_drift{{{OURS}}})",
                            "{{route}}: {{signal}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Releases",
            (
                Panel(
                    "Agreement by release",
                    "Whether a candidate's student agrees with the teacher as the one before does.",
                    Unit.SHARE,
                    (
                        Query(
                            f"1 - sum by (route, release) (rate(tutelage_divergence_total"
                            f"{{{OURS}}}[1h])) / sum by (route, release) (rate("
                            f"tutelage_judged_total{{{OURS}}}[1h]))",
                            "{{route}}: {{release}}",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Releases in service",
                    "refused: its calibration or threshold is not this student's or this route's.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"max by (route, release, role) (tutelage_release_info{{{OURS}}}) > 0",
                            "{{route}}: {{role}} {{release}}",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
        Row(
            "Shadows and drafts",
            (
                Panel(
                    "Shadows",
                    "compared: a pair more. shed: clients needed the room. failed: no answer.",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (outcome) (rate(tutelage_shadow_total{{{OURS}}}{RATE}))",
                            "{{outcome}}",
                        ),
                    ),
                    Look.STACKED,
                ),
                Panel(
                    "Drafted tokens accepted",
                    "Of engines that speculate: how often the teacher would have written what the "
                    "student drafted. Divergence for nothing.",
                    Unit.SHARE,
                    (
                        Query(
                            f"sum by (route) (rate(tutelage_draft_tokens_total{{{OURS},"
                            f'outcome="accepted"}}[1h])) / sum by (route) (rate('
                            f"tutelage_draft_tokens_total{{{OURS}}}[1h]))",
                            "{{route}}",
                        ),
                    ),
                ),
                Panel(
                    "Acceptance by release",
                    "Since the gateway started.",
                    Unit.SHARE,
                    (
                        Query(
                            f"avg by (route, release) (tutelage_draft_acceptance_ratio{{{OURS}}})",
                            "{{route}} {{release}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "What readers say",
            (
                Panel(
                    "Score of the feedback",
                    "0 to 1, mean of a day, by who served.",
                    Unit.SHARE,
                    (
                        Query(
                            f"sum by (route, served_by) (rate(tutelage_feedback_score_sum"
                            f"{{{OURS}}}[1d])) / sum by (route, served_by) (rate("
                            f"tutelage_feedback_score_count{{{OURS}}}[1d]))",
                            "{{route}}: {{served_by}}",
                        ),
                    ),
                ),
                Panel(
                    "Feedback an hour",
                    "With a score or without.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"sum by (served_by) (increase(tutelage_feedback_total{{{OURS}}}[1h]))",
                            "{{served_by}}",
                        ),
                    ),
                ),
                Panel(
                    "Schemas that cannot be checked",
                    "Clients' JSON schemas that no answer could be held to.",
                    Unit.NUMBER,
                    (Query("sum(increase(tutelage_unusable_schemas_total[1h]))", "schemas"),),
                ),
            ),
        ),
    ),
)
