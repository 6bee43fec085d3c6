"""How many requests an engine has, read off what it counts for Prometheus."""

import httpx

GAUGES = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "llamacpp:requests_processing",
    "llamacpp:requests_deferred",
)
_PATIENCE_S = 2.0


def under_way(exposition: str) -> float | None:
    """Requests that run or wait; None where it does not tell."""
    values = [
        float(line.rpartition(" ")[2])
        for line in exposition.splitlines()
        if line.startswith(GAUGES) and not line.startswith("vllm:num_requests_waiting_by")
    ]
    return sum(values) if values else None


def read_under_way(url: str) -> float | None:
    """Of the engine at `url`; None when it cannot be asked."""
    try:
        reply = httpx.get(f"{url}/metrics", timeout=_PATIENCE_S, trust_env=False)
        return under_way(reply.text)
    except (httpx.HTTPError, ValueError):
        return None
