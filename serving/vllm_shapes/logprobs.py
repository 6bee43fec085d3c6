"""Logprobs as vLLM writes them: one shape for chat, one for completions, two for responses."""

from collections.abc import Iterable

from serving.say import Tok
from serving.written import runners_up


def _entry(text: str, logprob: float) -> dict[str, object]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def ranked(token: Tok, count: int) -> list[tuple[str, float]]:
    """The token itself, then its runners-up: so many of both together."""
    return [(token.text, token.logprob), *runners_up(token, count)][:count]


def chat_logprobs(tokens: Iterable[Tok], top: int) -> dict[str, object]:
    return {
        "content": [
            _entry(token.text, token.logprob)
            | {"top_logprobs": [_entry(*each) for each in ranked(token, top)]}
            for token in tokens
        ]
    }


def completion_logprobs(
    tokens: Iterable[Tok | None], texts: Iterable[str], top: int, *, offset: int
) -> dict[str, object]:
    """None is the first token of a prompt, which nothing predicts. `offset`: in characters."""
    offsets, values, names, tops = [], [], [], []
    for token, text in zip(tokens, texts, strict=True):
        offsets.append(offset)
        offset += len(text)
        names.append(text)
        values.append(None if token is None else token.logprob)
        tops.append(None if token is None else dict(ranked(token, max(top, 1))))
    return {
        "text_offset": offsets,
        "token_logprobs": values,
        "tokens": names,
        "top_logprobs": tops,
    }


def response_logprobs(tokens: Iterable[Tok], top: int) -> list[dict[str, object]]:
    """Of a finished part: with bytes."""

    def entry(text: str, logprob: float) -> dict[str, object]:
        return {"token": text, "bytes": list(text.encode()), "logprob": logprob}

    return [
        entry(token.text, token.logprob)
        | {"top_logprobs": [entry(*each) for each in ranked(token, top)]}
        for token in tokens
    ]


def response_delta_logprobs(token: Tok, top: int) -> list[dict[str, object]]:
    """Of a delta: without bytes."""
    others = [{"token": text, "logprob": logprob} for text, logprob in ranked(token, top)]
    return [{"token": token.text, "logprob": token.logprob, "top_logprobs": others}]
