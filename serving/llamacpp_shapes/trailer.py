"""What llama.cpp adds to an answer: fingerprint, usage, timings, logprobs of its own shape."""

from collections.abc import Iterable

from serving.say import Tok
from serving.written import runners_up, token_id

FINGERPRINT = "b0-scripted"
DEFAULT_TOP_LOGPROBS = 20
"""How many alternatives come where only `logprobs` was asked for."""
END_ID = 2


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, object]:
    return {
        "completion_tokens": completion_tokens,
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def timings(prompt_tokens: int, completion_tokens: int) -> dict[str, object]:
    """As if each token took a millisecond."""
    prompt, spoken = float(max(prompt_tokens, 1)), float(max(completion_tokens, 1))
    return {
        "cache_n": 0,
        "prompt_n": prompt_tokens,
        "prompt_ms": prompt,
        "prompt_per_token_ms": 1.0,
        "prompt_per_second": 1000.0,
        "predicted_n": completion_tokens,
        "predicted_ms": spoken,
        "predicted_per_token_ms": 1.0,
        "predicted_per_second": 1000.0,
    }


def _entry(text: str, logprob: float) -> dict[str, object]:
    return {
        "id": token_id(text) if text else END_ID,
        "token": text,
        "bytes": list(text.encode()),
        "logprob": logprob,
    }


def logprobs(tokens: Iterable[Tok], top: int) -> dict[str, object]:
    """Chat's shape, on completions too; the likeliest comes first, whichever was chosen."""
    content = []
    for token in tokens:
        ranked = [(token.text, token.logprob), *runners_up(token, top - 1)]
        ranked.sort(key=lambda each: -each[1])
        entries = [_entry(*each) for each in ranked[:top]]
        content.append(_entry(token.text, token.logprob) | {"top_logprobs": entries})
    return {"content": content}


def without_text(end: Tok) -> Tok:
    """The end of the turn as llama.cpp shows it: a token without text."""
    return Tok("", end.logprob, end.alternatives)
