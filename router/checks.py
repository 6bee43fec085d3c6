"""What makes a student's answer a certain deferral: checks of form, sure where confidence is not.

Pure functions of what was said and of what the request allows. A check that cannot tell passes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import msgspec

from router.name import Name
from router.refusal import refuses
from router.repetition import find_loop

Validator = Callable[[object], str | None]
"""What is wrong with a JSON value; None: nothing is."""


class Check(Name):
    """The checks that a route's `checks` may name."""

    JSON_SCHEMA = "json_schema"
    TOOL_ARGUMENTS = "tool_arguments"
    TRUNCATED = "truncated"
    REPETITION = "repetition"
    REFUSAL = "refusal"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """arguments: JSON as the model wrote it; None: the tool takes free text (a `custom` tool)."""

    name: str
    arguments: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """One choice of an answer, as far as it was heard.

    ended: the model stopped by itself or at a limit; False: this is the window of a stream.
    tokens: written for this choice, None if unknown.
    """

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    tokens: int | None = None
    ended: bool = True


class Calls(Enum):
    """What `tool_choice` says of calling tools: auto, none, or required and a named tool."""

    MAY = auto()
    MUST = auto()
    MUST_NOT = auto()


def json_object(value: object) -> str | None:
    """The validator of `{"type": "json_object"}`, and of a tool that declares no parameters."""
    return None if isinstance(value, dict) else "is not a JSON object"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the request allows.

    json: validates the whole text, parsed; None: the text may be anything.
    tools: those that may be called, each with the validator of its arguments. A `tool_choice` that
    names tools narrows them to those.
    parallel_calls: False: at most one call.
    max_tokens: the client's own limit; None: it set none.
    """

    json: Validator | None = None
    tools: Mapping[str, Validator] = field(default_factory=dict)
    calls: Calls = Calls.MAY
    parallel_calls: bool = True
    max_tokens: int | None = None

    @property
    def may_call(self) -> bool:
        """Whether an answer may call a tool at all."""
        return bool(self.tools) and self.calls is not Calls.MUST_NOT


ANYTHING = Expected()
"""A request that sets no bounds to its answer."""


def failed(checks: Sequence[Check], said: Said, expected: Expected) -> Check | None:
    """The first of `checks`, in the route's own order, that the answer fails."""
    for check in checks:
        if (said.ended or check in _OF_AN_OPENING) and _FAILS[check](said, expected):
            return check
    return None


def needs_whole(checks: Sequence[Check], expected: Expected) -> bool:
    """Whether a stream must be held to its end, since one of `checks` reads whole answers only.

    JSON is valid when it is whole, and a call may come after any amount of prose.
    """
    if expected.json is not None and Check.JSON_SCHEMA in checks:
        return True
    return expected.may_call and Check.TOOL_ARGUMENTS in checks


def _breaks_json(said: Said, expected: Expected) -> bool:
    """The client will parse the whole text, so a fence or a remark around it breaks it too.

    A call or a refusal stands in for the text.
    """
    if expected.json is None or said.refusal or (said.tool_calls and not _has_words(said.text)):
        return False
    return not _is_valid(said.text or "", expected.json)


def _breaks_calls(said: Said, expected: Expected) -> bool:
    if expected.calls is Calls.MUST and not said.tool_calls:
        return True
    if expected.calls is Calls.MUST_NOT and said.tool_calls:
        return True
    if len(said.tool_calls) > 1 and not expected.parallel_calls:
        return True
    if expected.tools and said.text and said.text.lstrip().startswith(_CALL_MARKS):
        return True
    return any(not _is_valid_call(call, expected.tools) for call in said.tool_calls)


_CALL_MARKS = ("<tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "<|tool_call|>", "<｜tool▁calls")  # noqa: RUF001 - DeepSeek's own bars
"""How a call begins that the engine could not read, and so left in the text."""


def _is_valid_call(call: ToolCall, tools: Mapping[str, Validator]) -> bool:
    if (validator := tools.get(call.name)) is None:
        return False
    return call.arguments is None or _is_valid(call.arguments, validator)


def _is_valid(text: str, validator: Validator) -> bool:
    try:
        value = msgspec.json.decode(text.encode())
    except (ValueError, RecursionError):  # DecodeError and lone surrogates are ValueErrors
        return False
    return validator(value) is None


def _is_truncated(said: Said, expected: Expected) -> bool:
    """At the client's own limit the teacher would have been cut off too: that is an answer, unless
    it is JSON, of which a part is worth nothing.
    """
    if said.finish_reason not in _CUT:
        return False
    limit = expected.max_tokens
    if limit is None or (said.tokens is not None and said.tokens < limit):
        return True
    if any(not _is_valid(call.arguments or "{}", json_object) for call in said.tool_calls):
        return True
    return _breaks_json(said, expected)


_CUT = {"length", "max_output_tokens"}


def _repeats(said: Said, _: Expected) -> bool:
    """Words, or reasoning that never came to words, that end in a loop."""
    text = said.text if _has_words(said.text) else said.reasoning
    ended_itself = said.ended and said.finish_reason not in _CUT
    if text and find_loop(text, ended_itself=ended_itself) is not None:
        return True
    last = said.tool_calls[-_SAME_CALLS:]
    return len(last) == _SAME_CALLS and len(set(last)) == 1


_SAME_CALLS = 8
"""One tool asked the same thing so often in one answer is not work."""


def _refuses(said: Said, _: Expected) -> bool:
    if said.refusal or said.finish_reason == "content_filter":
        return True
    return not said.tool_calls and bool(said.text) and refuses(said.text or "")


def _is_empty(said: Said, expected: Expected) -> bool:
    """Where no token was asked for (`max_tokens = 0`), nothing is the answer."""
    if expected.max_tokens == 0 or said.tool_calls or said.refusal:
        return False
    return not _has_words(said.text)


def _has_words(text: str | None) -> bool:
    return bool(text) and not (text or "").isspace()


_OF_AN_OPENING = {Check.REPETITION, Check.REFUSAL}
"""The checks that can rule on the window of a stream."""

_FAILS: dict[Check, Callable[[Said, Expected], bool]] = {
    Check.JSON_SCHEMA: _breaks_json,
    Check.TOOL_ARGUMENTS: _breaks_calls,
    Check.TRUNCATED: _is_truncated,
    Check.REPETITION: _repeats,
    Check.REFUSAL: _refuses,
    Check.EMPTY: _is_empty,
}
