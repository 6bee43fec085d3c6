"""Tokens a second, from what engines count."""

import pytest

from serving.token_rate import decoded_tokens, read_counter, token_rates

VLLM = """# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="m"} 40.0
vllm:generation_tokens_total{engine="1",model_name="m"} 2.5e+01
vllm:prompt_tokens_total{engine="0",model_name="m"} 7.0
"""
LLAMACPP = "# HELP x\nllamacpp:tokens_predicted_total 12\nllamacpp:prompt_tokens_total 9\n"


@pytest.mark.parametrize(
    ("exposition", "tokens"), [(VLLM, 65.0), (LLAMACPP, 12.0), ("", None), ("<html>", None)]
)
def test_both_engines_counts_are_read(exposition: str, tokens: float | None) -> None:
    assert decoded_tokens(exposition) == tokens


def test_a_rate_is_what_was_decoded_between_two_looks() -> None:
    now = [0.0]
    counts: dict[str, list[float | None]] = {
        "a": [10.0, 50.0],
        "restarted": [900.0, 3.0],
        "mute": [None, None],
    }

    rates = token_rates(
        list(counts),
        clock=lambda: now[0],
        pause=lambda seconds: now.__setitem__(0, now[0] + seconds),
        read=lambda url: counts[url].pop(0),
        over_s=2.0,
    )

    assert rates == {"a": 20.0}


def test_an_engine_that_is_gone_has_no_rate() -> None:
    assert read_counter("http://127.0.0.1:1") is None
