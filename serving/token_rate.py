"""Tokens a second, read off what an engine counts for Prometheus, twice."""

from collections.abc import Callable, Mapping, Sequence

import httpx

COUNTERS = ("vllm:generation_tokens_total", "llamacpp:tokens_predicted_total")
"""llama.cpp counts an answer when it ends; vLLM counts each token."""

_PATIENCE_S = 5.0


def decoded_tokens(exposition: str) -> float | None:
    """Tokens that an engine wrote since it started, all of its models and workers together."""
    values = [
        float(line.rpartition(" ")[2])
        for line in exposition.splitlines()
        if line.startswith(COUNTERS)
    ]
    return sum(values) if values else None


def read_counter(url: str) -> float | None:
    """Of the engine at `url`; None when it does not tell."""
    try:
        reply = httpx.get(f"{url}/metrics", timeout=_PATIENCE_S, trust_env=False)
        return decoded_tokens(reply.text)
    except (httpx.HTTPError, ValueError):
        return None


def token_rates(
    urls: Sequence[str],
    *,
    clock: Callable[[], float],
    pause: Callable[[float], None],
    read: Callable[[str], float | None] = read_counter,
    over_s: float = 1.0,
) -> Mapping[str, float]:
    """By url: what each engine decoded a second, over `over_s`. One that restarted is left out."""
    before = {url: (clock(), read(url)) for url in urls}
    pause(over_s)
    rates = {}
    for url, (then, had) in before.items():
        has, now = read(url), clock()
        if had is not None and has is not None and has >= had and now > then:
            rates[url] = (has - had) / (now - then)
    return rates
