"""`/v1/chat/completions` in the shape of llama.cpp's server."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import msgspec

from serving.asked import ChatBody
from serving.dialect import CREATED, DONE, Facts, Stream, encode, sse
from serving.llamacpp_shapes.errors import bad_request, check_length, error_body, unreadable
from serving.llamacpp_shapes.trailer import (
    DEFAULT_TOP_LOGPROBS,
    FINGERPRINT,
    logprobs,
    timings,
    usage,
    without_text,
)
from serving.say import Say
from serving.written import Called, Part, Spoken, Written, write


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    body: ChatBody
    facts: Facts
    id: str

    @property
    def streamed(self) -> bool:
        return bool(self.body.stream)

    @property
    def last_words(self) -> str:
        return self.body.last_words

    def whole(self, says: Sequence[Say]) -> bytes:
        """Usage and timings are those of one choice."""
        written = self._written(says)
        spent = self._spent(written[0])
        return encode(
            {
                "choices": [self._choice(index, each) for index, each in enumerate(written)],
                "created": CREATED,
                "model": self.facts.model,
                "system_fingerprint": FINGERPRINT,
                "object": "chat.completion",
                "usage": usage(*spent),
                "id": self.id,
                "timings": timings(*spent),
            }
        )

    def stream(self, says: Sequence[Say]) -> Stream:
        written = self._written(says)
        opening = b"".join(
            self._chunk(index, {"role": "assistant", "content": None})
            for index in range(len(written))
        )
        steps = [tuple(self._steps(index, each)) for index, each in enumerate(written)]
        together = [b"".join(step) for step in zip_longest(*steps, fillvalue=b"")]
        longest = max(len(each.spoken) for each in written)
        return Stream((opening,), tuple(together[:longest]), (*together[longest:], DONE))

    def error_event(self, message: str, *, failed: bool) -> bytes:  # noqa: ARG002 - one shape
        return sse(error_body(500, message))

    def _written(self, says: Sequence[Say]) -> list[Written]:
        _, limit = self.body.limit
        return [
            write(
                says[i % len(says)],
                stops=self.body.stops,
                max_tokens=limit,
                tools=self.body.brings_tools,
            )
            for i in range(self.body.n or 1)
        ]

    def _spent(self, written: Written) -> tuple[int, int]:
        return self.body.prompt_tokens, written.completion_tokens

    @property
    def _top(self) -> int:
        top = self.body.top_logprobs
        return DEFAULT_TOP_LOGPROBS if top is None else top

    def _wants_logprobs(self, written: Written) -> bool:
        return bool(self.body.logprobs) and written.script.logprobs

    def _call_id(self, choice: int, called: Called) -> str:
        return called.script.id or f"{self.id[-24:]}{choice:04x}{called.index:04x}"

    def _choice(self, index: int, written: Written) -> dict[str, object]:
        message: dict[str, object] = {
            "role": "assistant",
            "content": written.text(Part.CONTENT) + written.text(Part.REFUSAL),
        }
        if written.calls and not message["content"]:
            message["content"] = None
        if reasoning := written.text(Part.REASONING):
            message["reasoning_content"] = reasoning
        if written.calls:
            message["tool_calls"] = [
                {
                    "type": "function",
                    "function": {"name": called.name, "arguments": called.arguments},
                    "id": self._call_id(index, called),
                }
                for called in written.calls
            ]
        choice: dict[str, object] = {
            "finish_reason": self._finish(written),
            "index": index,
            "message": message,
        }
        if self._wants_logprobs(written):
            ends = () if written.end is None else (without_text(written.end),)
            said = (each.token for each in written.spoken)
            choice["logprobs"] = logprobs((*said, *ends), self._top)
        return choice

    def _finish(self, written: Written) -> str | None:
        called = written.calls and written.finish_reason == "stop"
        return "tool_calls" if called else written.finish_reason

    def _steps(self, index: int, written: Written) -> Iterator[bytes]:
        """One element a token, then the end: an empty delta, which has no logprobs."""
        for spoken in written.spoken:
            if delta := self._delta(index, written, spoken):
                more: dict[str, object] = {}
                if self._wants_logprobs(written):
                    more = {"logprobs": logprobs([spoken.token], self._top)}
                yield self._chunk(index, delta, more=more)
            else:
                yield b""
        spent = self._spent(written)
        finish = self._finish(written)
        if not self.body.wants_usage:
            yield self._chunk(index, {}, finish, tail={"timings": timings(*spent)})
            return
        tail = {"usage": usage(*spent), "timings": timings(*spent)}
        yield self._chunk(index, {}, finish) + sse(encode({"choices": [], **self._head, **tail}))

    @property
    def _head(self) -> dict[str, object]:
        return {
            "created": CREATED,
            "id": self.id,
            "model": self.facts.model,
            "system_fingerprint": FINGERPRINT,
            "object": "chat.completion.chunk",
        }

    def _chunk(
        self,
        index: int,
        delta: Mapping[str, object],
        finish: str | None = None,
        *,
        tail: Mapping[str, object] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> bytes:
        choice = {"finish_reason": finish, "index": index, "delta": delta, **(more or {})}
        return sse(encode({"choices": [choice], **self._head, **(tail or {})}))

    def _delta(self, index: int, written: Written, spoken: Spoken) -> dict[str, object]:
        match spoken.part:
            case Part.CONTENT | Part.REFUSAL:
                return {"content": spoken.text}
            case Part.REASONING:
                return {"reasoning_content": spoken.text}
            case Part.NAME:
                (called,) = [each for each in written.calls if each.index == spoken.call]
                function = {"name": called.name, "arguments": ""}
                start = {"index": called.index, "id": self._call_id(index, called)}
                return {"tool_calls": [start | {"type": "function", "function": function}]}
            case Part.ARGUMENTS:
                piece = {"index": spoken.call, "function": {"arguments": spoken.text}}
                return {"tool_calls": [piece]}
            case _:
                return {}


def understand(raw: bytes, facts: Facts, *, number: int) -> ChatAnswer:
    """The request, or Refused as llama.cpp refuses it: whatever model it names."""
    try:
        body = msgspec.json.decode(raw, type=ChatBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    if body.tools and body.stream and body.logprobs:
        raise bad_request("logprobs is not supported with tools + stream")
    if body.top_logprobs is not None and not body.logprobs:
        raise bad_request("top_logprobs requires logprobs to be set to true")
    check_length(facts, body.prompt_tokens)
    return ChatAnswer(body, facts, f"chatcmpl-{number:032x}")
