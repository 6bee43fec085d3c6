"""`/v1/completions` in the shape of llama.cpp's server: logprobs as in chat, and no echo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from serving.asked import CompletionBody
from serving.dialect import CREATED, DONE, Facts, Stream, encode, sse
from serving.llamacpp_shapes.errors import bad_request, check_length, error_body, unreadable
from serving.llamacpp_shapes.trailer import FINGERPRINT, logprobs, timings, usage, without_text
from serving.say import Say, Tok
from serving.written import Written, words, write

BETWEEN_PROMPTS = sse(b"null")
"""llama.cpp streams one prompt after the other, and this between them."""


@dataclass(frozen=True, slots=True)
class CompletionAnswer:
    body: CompletionBody
    facts: Facts
    id: str

    @property
    def streamed(self) -> bool:
        return bool(self.body.stream)

    @property
    def last_words(self) -> str:
        return self.body.prompts[-1]

    def whole(self, says: Sequence[Say]) -> bytes:
        """Usage and timings are those of the first choice."""
        written = self._written(says)
        spent = self._spent(0, written[0])
        choices = [
            {
                "text": each.full_text,
                "index": index,
                "logprobs": self._logprobs(each, self._shown(each)),
                "finish_reason": each.finish_reason,
            }
            for index, each in enumerate(written)
        ]
        tail = {"usage": usage(*spent), "id": self.id, "timings": timings(*spent)}
        return encode({"choices": choices, **self._head, **tail})

    def stream(self, says: Sequence[Say]) -> Stream:
        steps = tuple(self._steps(self._written(says)))
        return Stream((), steps, (DONE,))

    def error_event(self, message: str, *, failed: bool) -> bytes:  # noqa: ARG002 - one shape
        return sse(error_body(500, message))

    @property
    def _head(self) -> dict[str, object]:
        return {
            "created": CREATED,
            "model": self.facts.model,
            "system_fingerprint": FINGERPRINT,
            "object": "text_completion",
        }

    def _written(self, says: Sequence[Say]) -> list[Written]:
        limit = self.body.max_tokens
        limit = None if limit is None else max(limit, 1)
        return [
            write(says[i % len(says)], stops=self.body.stops, max_tokens=limit, tools=False)
            for i in range((self.body.n or 1) * len(self.body.prompts))
        ]

    def _spent(self, index: int, written: Written) -> tuple[int, int]:
        prompt = self.body.prompts[index // (self.body.n or 1)]
        return len(words(prompt)), written.completion_tokens

    def _shown(self, written: Written) -> list[Tok]:
        ends = [] if written.end is None else [without_text(written.end)]
        return [*(each.token for each in written.spoken), *ends]

    def _logprobs(self, written: Written, tokens: Sequence[Tok]) -> dict[str, object] | None:
        if not self.body.logprobs or not written.script.logprobs:
            return None
        return logprobs(tokens, self.body.logprobs)

    def _steps(self, written: Sequence[Written]) -> Iterator[bytes]:
        """One element a token: the choices of a prompt one after the other, not in turn."""
        for index, each in enumerate(written):
            if index and index % (self.body.n or 1) == 0:
                yield BETWEEN_PROMPTS
            texts = [part.text for part in each.spoken]
            for token, text in zip(self._shown(each), [*texts, ""], strict=False):
                yield self._chunk(index, text, self._logprobs(each, [token]))
            spent = self._spent(index, each)
            yield self._chunk(index, "", None, each.finish_reason, spent=spent)

    def _chunk(
        self,
        index: int,
        text: str,
        shown: object,
        finish: str | None = None,
        *,
        spent: tuple[int, int] | None = None,
    ) -> bytes:
        """`spent`: the last chunk of a choice has its usage, asked for or not."""
        choice = {"text": text, "index": index, "logprobs": shown, "finish_reason": finish}
        head: dict[str, object] = {"choices": [choice], **self._head}
        if spent is None:
            return sse(encode(head | {"id": self.id}))
        tail = {"usage": usage(*spent), "id": self.id, "timings": timings(*spent)}
        return sse(encode(head | tail))


def understand(raw: bytes, facts: Facts, *, number: int) -> CompletionAnswer:
    """The request, or Refused as llama.cpp refuses it."""
    try:
        body = msgspec.json.decode(raw, type=CompletionBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    if not body.prompts:
        raise bad_request("[json.exception.out_of_range.403] key 'prompt' not found")
    for prompt in body.prompts:
        check_length(facts, len(words(prompt)))
    return CompletionAnswer(body, facts, f"chatcmpl-{number:032x}")
