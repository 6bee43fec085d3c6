"""What the engines carry."""

from grafana.board import RATE, Board, Limits, Panel, Query, Row, Unit

BOARD = Board(
    uid="tutelage-engines",
    title="tutelage: engines",
    about="As the gateway sees its upstreams, and as vLLM and llama.cpp tell of themselves.",
    by_route=False,
    rows=(
        Row(
            "Upstreams, as the gateway sees them",
            (
                Panel(
                    "State",
                    "0: called. 1: tried again after failures. 2: not called.",
                    Unit.NUMBER,
                    (Query("max by (upstream) (tutelage_upstream_state)", "{{upstream}}"),),
                    limits=Limits(warn=1, bad=2),
                ),
                Panel(
                    "Calls in flight",
                    "Shadows included. `max_in_flight` of the upstream is the bound.",
                    Unit.NUMBER,
                    (Query("sum by (upstream) (tutelage_in_flight)", "{{upstream}}"),),
                ),
                Panel(
                    "Tokens written a second",
                    "As the answers' usage tells.",
                    Unit.NUMBER,
                    (
                        Query(
                            "sum by (upstream) (rate(tutelage_tokens_total"
                            f'{{direction="output"}}{RATE}))',
                            "{{upstream}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "vLLM",
            (
                Panel(
                    "Requests running and waiting",
                    "Waiting ones want more KV cache or fewer clients.",
                    Unit.NUMBER,
                    (
                        Query("sum by (model_name) (vllm:num_requests_running)", "{{model_name}}"),
                        Query(
                            "sum by (model_name) (vllm:num_requests_waiting)",
                            "{{model_name}} waiting",
                        ),
                    ),
                ),
                Panel(
                    "KV cache in use",
                    "Near 1 vLLM preempts: answers are slower and prefixes forgotten.",
                    Unit.SHARE,
                    (Query("max by (model_name) (vllm:kv_cache_usage_perc)", "{{model_name}}"),),
                    limits=Limits(warn=0.85, bad=0.97),
                ),
                Panel(
                    "Prefix cache hits",
                    "Tokens of prompts that needed no prefill.",
                    Unit.SHARE,
                    (
                        Query(
                            f"sum by (model_name) (rate(vllm:prefix_cache_hits_total{RATE})) / "
                            f"sum by (model_name) (rate(vllm:prefix_cache_queries_total{RATE}))",
                            "{{model_name}}",
                        ),
                    ),
                ),
                Panel(
                    "Tokens a second",
                    "Read and written.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"sum by (model_name) (rate(vllm:generation_tokens_total{RATE}))",
                            "{{model_name}} written",
                        ),
                        Query(
                            f"sum by (model_name) (rate(vllm:prompt_tokens_total{RATE}))",
                            "{{model_name}} read",
                        ),
                    ),
                ),
                Panel(
                    "First token, p95",
                    "The engine's own part of it, its queue included.",
                    Unit.SECONDS,
                    (
                        Query(
                            "histogram_quantile(0.95, sum by (le, model_name) (rate("
                            f"vllm:time_to_first_token_seconds_bucket{RATE})))",
                            "{{model_name}}",
                        ),
                    ),
                ),
                Panel(
                    "Preemptions",
                    "Requests that lost their KV cache to others.",
                    Unit.PER_S,
                    (
                        Query(
                            f"sum by (model_name) (rate(vllm:num_preemptions_total{RATE}))",
                            "{{model_name}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "llama.cpp",
            (
                Panel(
                    "Requests running and deferred",
                    "Deferred ones wait for a slot.",
                    Unit.NUMBER,
                    (
                        Query("sum by (instance) (llamacpp:requests_processing)", "{{instance}}"),
                        Query(
                            "sum by (instance) (llamacpp:requests_deferred)",
                            "{{instance}} deferred",
                        ),
                    ),
                ),
                Panel(
                    "Tokens a second",
                    "Read and written.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"sum by (instance) (rate(llamacpp:tokens_predicted_total{RATE}))",
                            "{{instance}} written",
                        ),
                        Query(
                            f"sum by (instance) (rate(llamacpp:prompt_tokens_total{RATE}))",
                            "{{instance}} read",
                        ),
                    ),
                ),
                Panel(
                    "Speed of one request",
                    "Tokens written over the time that writing them took.",
                    Unit.NUMBER,
                    (
                        Query(
                            f"sum by (instance) (rate(llamacpp:tokens_predicted_total{RATE})) / "
                            "sum by (instance) "
                            f"(rate(llamacpp:tokens_predicted_seconds_total{RATE}))",
                            "{{instance}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
