"""What one choice of an answer says, gathered piece by piece."""

import msgspec

from gateway.reply import Part
from gateway.tool_calls import ToolCall, assembled
from gateway.wire import NULL, UNREADABLE, is_there
from router import checks


class Choice(msgspec.Struct):
    finish_reason: str | None = None
    _words: list[str] = []
    _refusal: list[str] = []
    _reasoning: list[str] = []
    _calls: list[msgspec.Raw] = []

    def hear(self, part: Part) -> None:
        said = part.said
        if words := said.words:
            self._words.append(words)
        if said.calls is not NULL and is_there(said.calls):
            self._calls.append(said.calls)
        if refusal := said.refusal:
            self._refusal.append(refusal)
        if thoughts := said.thoughts:
            self._reasoning.append(thoughts)
        if (reason := part.finish_reason) is not None:
            self.finish_reason = reason

    @property
    def began(self) -> bool:
        """Whether it has said anything yet, thinking included."""
        return bool(self._words or self._calls or self._reasoning or self._refusal)

    @property
    def text(self) -> str | None:
        """Its words, or its refusal; None if there were none."""
        return "".join(self._words) or "".join(self._refusal) or None

    def calls(self) -> list[ToolCall]:
        """Raises one of UNREADABLE for calls of another shape."""
        return assembled(self._calls)

    def kept_calls(self) -> msgspec.Raw | msgspec.UnsetType:
        """For the trace: put together; or, where they cannot be, as they came."""
        if not self._calls:
            return msgspec.UNSET
        try:
            return msgspec.Raw(msgspec.json.encode(self.calls()))
        except UNREADABLE:
            return msgspec.Raw(msgspec.json.encode(self._calls))

    def compared(self) -> str | None:
        """What two models are compared by: the text, or, with tool calls, both as one document."""
        if not self._calls:
            return self.text
        try:
            calls = [_without_id(call) for call in self.calls()]
        except UNREADABLE:
            return self.text
        return msgspec.json.encode({"content": self.text, "tool_calls": calls}).decode()

    def said(self, *, ended: bool, tokens: int | None) -> checks.Said:
        """For the checks. Raises what `calls` raises."""
        calls = (call.function for call in self.calls())
        return checks.Said(
            text="".join(self._words) or None,
            tool_calls=tuple(checks.ToolCall(call.name or "", call.arguments) for call in calls),
            finish_reason=self.finish_reason,
            refusal="".join(self._refusal) or None,
            reasoning="".join(self._reasoning) or None,
            tokens=tokens,
            ended=ended,
        )


def _without_id(call: ToolCall) -> dict[str, object]:
    """The id differs every time; arguments go by value where they are JSON."""
    written = call.function.arguments or ""
    try:
        arguments = msgspec.json.decode(written)
    except UNREADABLE:
        arguments = written
    return {"name": call.function.name, "arguments": arguments}
