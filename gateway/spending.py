"""What a stream has used, and the chunk that tells a client so.

OpenAI tells it once for all choices, in a last chunk without any. llama.cpp tells it choice by
choice: a chat in a chunk without choices after each, a text completion with each one's last words;
others have it beside the last words of the only one.
"""

from collections.abc import Sequence

import msgspec

from router.trace import Usage


class Spending:
    """choices_each: how many choices each prompt has; a prompt is counted once."""

    __slots__ = ("_by_choice", "_choices_each", "_told")

    def __init__(self, choices_each: int) -> None:
        self._choices_each = choices_each
        self._told: list[Usage] = []
        self._by_choice: dict[int, Usage] = {}

    def hear(self, spent: Usage, choices: Sequence[int]) -> Usage:
        """All that is known so far. choices: whose it is; none in a chunk of its own."""
        for index in choices:
            self._by_choice[index] = spent
        if not choices:
            self._told.append(spent)
        if len(self._told) == 1:
            return self._told[0]
        return self._sum(dict(enumerate(self._told)) or self._by_choice)

    def _sum(self, choices: dict[int, Usage]) -> Usage:
        prompts: dict[int, Usage] = {}
        for index in sorted(choices):
            prompts.setdefault(index // self._choices_each, choices[index])
        return Usage(
            sum(each.prompt_tokens for each in prompts.values()),
            sum(each.completion_tokens for each in choices.values()),
            sum(each.cached_tokens for each in prompts.values()),
        )


class LastChunk:
    """The usage chunk of a stream that has it elsewhere, or more than once, in its place."""

    __slots__ = ("_closings", "_held", "_spending")

    def __init__(self, choices_each: int) -> None:
        self._spending = Spending(choices_each)
        self._held: list[tuple[dict[str, msgspec.Raw], Usage]] = []
        """Chunks with usage, and all that had been used by then."""
        self._closings: list[bytes] = []

    def hold(self, payload: bytes, spent: Usage, choices: Sequence[int]) -> None:
        if not choices:
            self._closings.append(payload)
        self._held.append((_FIELDS.decode(payload), self._spending.hear(spent, choices)))

    def written(self) -> bytes | None:
        """None where nobody told; the engine's own usage where it told once."""
        if len(self._closings) == 1 or not self._held:
            return self._closings[0] if self._closings else None
        fields, total = self._held[-1]
        usage = fields["usage"] if len(self._held) == 1 else _openai(total)
        return msgspec.json.encode({**fields, "choices": [], "usage": usage})


def _openai(total: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": total.prompt_tokens,
        "completion_tokens": total.completion_tokens,
        "total_tokens": total.prompt_tokens + total.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": total.cached_tokens},
    }


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
