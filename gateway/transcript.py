"""What one model said to one request, gathered as it passes by, for the trace."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from gateway.clock import Clock
from gateway.errors import GatewayError, UpstreamCut, UpstreamFailed
from gateway.reply import Part, Reply
from gateway.tool_calls import ToolCall, assembled
from gateway.upstream import Upstream
from gateway.wire import Asked, error_message, is_there
from router.trace import ModelAnswer, Usage


@dataclass(slots=True)
class Transcript:
    """Of several choices (n > 1) the first one's words are kept; usage covers all of them."""

    asked: Asked
    upstream: Upstream
    clock: Clock
    started_s: float
    first_token_s: float | None = None
    total_s: float | None = None
    complete: bool = False
    error: GatewayError | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    _finished: int = 0
    _words: list[str] = field(default_factory=list)
    _refusal: list[str] = field(default_factory=list)
    _calls: list[msgspec.Raw] = field(default_factory=list)

    def hear(self, payload: bytes, *, stream: bool) -> Reply:
        """Read a whole answer or one event of a stream, and remember what it says.

        Raises UpstreamFailed when it is no answer, or an error in the guise of one.
        """
        try:
            reply = self.asked.hear(payload, stream=stream)
            parts = reply.parts
        except msgspec.DecodeError as error:
            raise UpstreamFailed(
                self.upstream.name, f"answered something that is no completion: {error}"
            ) from error
        if is_there(reply.trouble):
            raise UpstreamFailed(self.upstream.name, error_message(payload)[0])
        if (spent := reply.spent) is not None:
            self.usage = spent
        for part in parts:
            if part.finish_reason is not None:
                self._finished += 1
            if part.index == 0:
                self._note(part)
        if stream:
            if self.first_token_s is None and (self._words or self._calls or self._refusal):
                self.first_token_s = self.clock.monotonic_s() - self.started_s
        elif self.asked.generates and not parts:
            raise UpstreamFailed(self.upstream.name, "answered without a single choice")
        return reply

    def _note(self, part: Part) -> None:
        if words := part.words:
            self._words.append(words)
        if is_there(part.calls):
            self._calls.append(part.calls)
        if refusal := part.refusal:
            self._refusal.append(refusal)
        if (reason := part.finish_reason) is not None:
            self.finish_reason = reason

    def heard_to_the_end(self) -> None:
        """A stream has ended as streams do. Raises UpstreamCut if a choice is not finished."""
        if self._finished < self.asked.choices:
            raise UpstreamCut(self.upstream.name, "the stream ended without a finish_reason")
        self.ended(complete=True)

    def ended(self, *, complete: bool, error: GatewayError | None = None) -> None:
        """The model will say no more. complete: it was heard to its own end."""
        if self.total_s is None:
            self.total_s = self.clock.monotonic_s() - self.started_s
            self.complete = complete
            self.error = error

    @property
    def text(self) -> str | None:
        """Its words, or its refusal; None if it said nothing."""
        return _joined(self._words) or _joined(self._refusal)

    @property
    def refusal(self) -> str | None:
        return _joined(self._refusal)

    @property
    def said(self) -> str | None:
        """What two models are compared by: the text, or, with tool calls, both as one document."""
        if not self._calls:
            return self.text
        try:
            calls = [_compared(call) for call in self.calls()]
        except msgspec.DecodeError:
            return self.text
        return msgspec.json.encode({"content": self.text, "tool_calls": calls}).decode()

    def calls(self) -> list[ToolCall]:
        """Raises msgspec.DecodeError for calls that are none."""
        return assembled(self._calls)

    def answer(self) -> ModelAnswer:
        return ModelAnswer(
            upstream=self.upstream.name,
            model=self.upstream.model,
            text=self.text,
            tool_calls=self._kept_calls(),
            finish_reason=self.finish_reason,
            usage=self.usage,
            first_token_s=self.first_token_s,
            total_s=self.total_s,
            status=200 if self.error is None else self.error.status,
            error=str(self.error) if self.error is not None else None,
            complete=self.complete,
        )

    def _kept_calls(self) -> msgspec.Raw | msgspec.UnsetType:
        """Put together; or, where they cannot be, as they came."""
        if not self._calls:
            return msgspec.UNSET
        try:
            return msgspec.Raw(msgspec.json.encode(self.calls()))
        except msgspec.DecodeError:
            return msgspec.Raw(msgspec.json.encode(self._calls))


def _compared(call: ToolCall) -> dict[str, object]:
    """A call without its id, which differs every time; arguments by value where they are JSON."""
    written = call.function.arguments or ""
    try:
        arguments = msgspec.json.decode(written)
    except msgspec.DecodeError:
        arguments = written
    return {"name": call.function.name, "arguments": arguments}


def _joined(parts: Iterable[str]) -> str | None:
    return "".join(parts) or None
