"""What one model said to one request, gathered as it passes by, for the trace."""

from dataclasses import dataclass, field

import msgspec

from gateway.clock import Clock
from gateway.errors import GatewayError, UpstreamFailed
from gateway.upstream import Upstream
from gateway.wire import Message, Reply, error_message, is_there, parse_reply
from router.trace import ModelAnswer, Usage


@dataclass(slots=True)
class Transcript:
    """Of several choices (n > 1) the first one's words are kept; usage covers all of them."""

    upstream: Upstream
    clock: Clock
    started_s: float = 0.0
    first_token_s: float | None = None
    total_s: float | None = None
    complete: bool = False
    error: GatewayError | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    _words: list[str] = field(default_factory=list)
    _tool_calls: list[msgspec.Raw] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started_s = self.clock.monotonic_s()

    def hear(self, payload: bytes) -> Reply:
        """Read a whole completion or one chunk of a stream, and remember what it says.

        Raises UpstreamFailed when it is not a completion, or an error in the guise of one.
        """
        try:
            reply = parse_reply(payload)
        except msgspec.DecodeError as error:
            raise UpstreamFailed(
                self.upstream.name, f"answered something that is not a completion: {error}"
            ) from error
        if is_there(reply.error):
            raise UpstreamFailed(self.upstream.name, error_message(payload)[0])
        if reply.usage is not None:
            used = reply.usage
            self.usage = Usage(used.prompt_tokens, used.completion_tokens, used.cached_tokens)
        for choice in reply.choices:
            if choice.index == 0:
                if choice.delta is not None:
                    self._note(choice.delta)
                    self._time_first_token()
                else:
                    self._note(choice.message)
                self.finish_reason = choice.finish_reason or self.finish_reason
        return reply

    def _note(self, said: Message | None) -> None:
        if said is None:
            return
        if words := said.content or said.refusal:
            self._words.append(words)
        if is_there(said.tool_calls):
            self._tool_calls.append(said.tool_calls)

    def _time_first_token(self) -> None:
        """Of a stream; a whole answer does not tell when it began."""
        if self.first_token_s is None and (self._words or self._tool_calls):
            self.first_token_s = self.clock.monotonic_s() - self.started_s

    def ended(self, *, complete: bool, error: GatewayError | None = None) -> None:
        """The model will say no more. complete: it was heard to its own end."""
        if self.total_s is None:
            self.total_s = self.clock.monotonic_s() - self.started_s
            self.complete = complete
            self.error = error

    @property
    def text(self) -> str | None:
        return "".join(self._words) if self._words else None

    def answer(self) -> ModelAnswer:
        calls = self._tool_calls
        return ModelAnswer(
            upstream=self.upstream.name,
            model=self.upstream.model,
            text=self.text,
            tool_calls=msgspec.Raw(msgspec.json.encode(calls)) if calls else msgspec.UNSET,
            finish_reason=self.finish_reason,
            usage=self.usage,
            first_token_s=self.first_token_s,
            total_s=self.total_s,
            status=200 if self.error is None else self.error.status,
            error=str(self.error) if self.error is not None else None,
            complete=self.complete,
        )
