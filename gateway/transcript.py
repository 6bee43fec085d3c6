"""What one model said to one request, gathered as it passes by, for the trace."""

from collections.abc import Sequence

import msgspec

from gateway.choice import Choice
from gateway.clock import Clock
from gateway.drafted import read_drafted
from gateway.errors import GatewayError, UpstreamCut, UpstreamFailed
from gateway.refusal import read_error
from gateway.reply import Part, Reply
from gateway.spending import Spending
from gateway.upstream import Upstream
from gateway.wire import NULL, UNREADABLE, Asked, is_there
from router.checks import Check, Expected, failed
from router.trace import Drafted, ModelAnswer, Usage


class Transcript(msgspec.Struct):
    """Of several choices (n > 1) the trace keeps the first one's words; usage covers them all."""

    asked: Asked
    upstream: Upstream
    clock: Clock
    started_s: float
    first_token_s: float | None = None
    total_s: float | None = None
    complete: bool = False
    error: GatewayError | None = None
    usage: Usage | None = None
    drafted: Drafted | None = None
    spending: Spending | None = None
    choices: list[Choice] = []
    span_id: int = 0
    """In the request's trace, where spans are made."""

    def hear(self, payload: bytes, *, stream: bool) -> Reply:
        """Read a whole answer or one event of a stream, and remember what it says.

        Raises UpstreamFailed when it is no answer, or an error in the guise of one.
        """
        try:
            reply = self.asked.hear(payload, stream=stream)
            parts = reply.parts
        except UNREADABLE as error:
            raise UpstreamFailed(
                self.upstream.name, f"answered something that is no completion: {error}"
            ) from error
        if reply.trouble is not NULL and is_there(reply.trouble):
            raise UpstreamFailed(self.upstream.name, read_error(payload).message)
        if (spent := reply.spent) is not None:
            single = not stream or self.asked.choices == 1
            self.usage = spent if single else self._total(spent, parts)
            if (told := reply.metrics) is not NULL and is_there(told):
                self.drafted = read_drafted(told)
        choices = self.choices
        for part in parts:
            known = 0 <= part.index < len(choices)
            (choices[part.index] if known else self._choice(part.index)).hear(part)
        if stream:
            if self.first_token_s is None and self.choices and self.choices[0].began:
                self.first_token_s = self.clock.monotonic_s() - self.started_s
        elif self.asked.generates and not parts:
            raise UpstreamFailed(self.upstream.name, "answered without a single choice")
        return reply

    def _total(self, spent: Usage, parts: Sequence[Part]) -> Usage:
        """All that the stream has used so far, where an engine tells it choice by choice."""
        if self.spending is None:
            self.spending = Spending(self.asked.choices // self.asked.prompts)
        return self.spending.hear(spent, [part.index for part in parts])

    @property
    def has_begun(self) -> bool:
        """Whether anything was said, or an end was reached without."""
        return any(choice.began or choice.finish_reason is not None for choice in self.choices)

    def _choice(self, index: int) -> Choice:
        if not 0 <= index < self.asked.choices:
            problem = f"sent choice {index} of {self.asked.choices}"
            raise UpstreamFailed(self.upstream.name, problem)
        while len(self.choices) <= index:
            self.choices.append(Choice())
        return self.choices[index]

    def heard_to_the_end(self) -> None:
        """A stream has ended as streams do. Raises UpstreamCut if a choice is not finished."""
        finished = sum(choice.finish_reason is not None for choice in self.choices)
        if finished < self.asked.choices:
            raise UpstreamCut(self.upstream.name, "the stream ended without a finish_reason")
        self.ended(complete=True)

    def ended(self, *, complete: bool, error: GatewayError | None = None) -> None:
        """The model will say no more. complete: it was heard to its own end."""
        if self.total_s is None:
            self.total_s = self.clock.monotonic_s() - self.started_s
            self.complete = complete
            self.error = error

    def failed_check(
        self, checks: Sequence[Check], expected: Expected, *, ended: bool
    ) -> Check | None:
        """The first of the route's checks that one of the choices fails."""
        alone = self.usage is not None and self.asked.choices == 1
        tokens = self.usage.completion_tokens if self.usage is not None and alone else None
        for choice in self.choices:
            try:
                said = choice.said(ended=ended, tokens=tokens)
            except UNREADABLE:
                return Check.TOOL_ARGUMENTS if Check.TOOL_ARGUMENTS in checks else None
            if (check := failed(checks, said, expected)) is not None:
                return check
        return None

    @property
    def compared(self) -> str | None:
        """What it is compared by with the other model's answer; None if it said nothing."""
        return self.choices[0].compared() if self.choices else None

    def answer(self) -> ModelAnswer:
        first = self.choices[0] if self.choices else _UNHEARD
        return ModelAnswer(
            upstream=self.upstream.name,
            model=self.upstream.model,
            text=first.text,
            tool_calls=first.kept_calls(),
            finish_reason=first.finish_reason,
            usage=self.usage,
            first_token_s=self.first_token_s,
            total_s=self.total_s,
            status=200 if self.error is None else self.error.status,
            error=str(self.error) if self.error is not None else None,
            complete=self.complete,
            drafted=self.drafted,
        )


_UNHEARD = Choice()
