"""Logprobs of text completions in their older form, in arrays: llama.cpp writes them as in chat."""

import msgspec


class _Alternative(msgspec.Struct):
    token: str
    logprob: float


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


class _AsInChat(msgspec.Struct):
    content: list[_Token] | None = None


class OlderLogprobs:
    """Of one answer: where the next token of each choice begins is carried on through a stream."""

    __slots__ = ("_lengths",)

    def __init__(self) -> None:
        self._lengths: dict[int, int] = {}

    def rewritten(self, logprobs: msgspec.Raw, choice: int) -> bytes:
        """Untouched where they are in arrays already. Offsets count characters of the text."""
        tokens = _DECODER.decode(logprobs).content
        if tokens is None:
            return bytes(logprobs)
        offsets, offset = [], self._lengths.get(choice, 0)
        for each in tokens:
            offsets.append(offset)
            offset += len(each.token)
        self._lengths[choice] = offset
        return msgspec.json.encode(
            {
                "text_offset": offsets,
                "token_logprobs": [each.logprob for each in tokens],
                "tokens": [each.token for each in tokens],
                "top_logprobs": [
                    {other.token: other.logprob for other in each.top_logprobs} for each in tokens
                ],
            }
        )


_DECODER = msgspec.json.Decoder(_AsInChat)
