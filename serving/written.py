"""A script after the request had its say: cut where it ends, each token with what it adds."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import accumulate
from zlib import crc32

from serving.say import Say, Tok, ToolCall


class Part(Enum):
    """What a token adds its text to."""

    REASONING = "reasoning"
    CONTENT = "content"
    REFUSAL = "refusal"
    NAME = "name"
    """With it, the name of a call is known."""
    ARGUMENTS = "arguments"
    SYNTAX = "syntax"
    """Nothing that a client sees: the tags around calls and thoughts."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One token, and what a client reads of it."""

    token: Tok
    part: Part
    text: str
    call: int = 0
    """The index of the call that it belongs to."""


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call as far as it was written."""

    name: str
    arguments: str
    index: int
    script: ToolCall


@dataclass(frozen=True, slots=True)
class Written:
    """An answer after `stop` and `max_tokens`."""

    spoken: tuple[Spoken, ...]
    finish_reason: str | None
    stop_reason: str | None
    end: Tok | None
    """The end-of-turn token, where the model came to it: counted, and without text of its own."""
    script: Say
    held: str = ""
    """What was held back until the end of the turn, and comes with it."""

    @property
    def completion_tokens(self) -> int:
        return len(self.spoken) + (self.end is not None)

    @property
    def reasoning_tokens(self) -> int:
        return sum(each.part is Part.REASONING for each in self.spoken)

    @property
    def tokens(self) -> tuple[Tok, ...]:
        """All that has a logprob, the end of the turn included."""
        ends = () if self.end is None else (self.end,)
        return (*(each.token for each in self.spoken), *ends)

    def text(self, part: Part) -> str:
        said = "".join(each.text for each in self.spoken if each.part is part)
        return said + self.held if part is Part.CONTENT else said

    @property
    def full_text(self) -> str:
        """All that a client reads, whatever it is."""
        return "".join(each.text for each in self.spoken) + self.held

    @property
    def calls(self) -> tuple[Called, ...]:
        """Those whose name was reached."""
        named = [each for each in self.spoken if each.part is Part.NAME]
        return tuple(
            Called(name.text, self._arguments(name.call), name.call, self._script(name.call))
            for name in named
        )

    @property
    def in_a_call(self) -> bool:
        """The answer was cut before a tool call was complete."""
        syntax = [each.token.text for each in self.spoken if each.part is Part.SYNTAX]
        return syntax.count(_OPEN) > syntax.count(_CLOSE)

    def _arguments(self, call: int) -> str:
        return "".join(
            each.text for each in self.spoken if each.part is Part.ARGUMENTS and each.call == call
        )

    def _script(self, call: int) -> ToolCall:
        return self.script.tool_calls[call]


_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_THOUGHT = "</think>"


def write(
    say: Say, *, stops: list[str], max_tokens: int | None, tools: bool, lags: bool = False
) -> Written:
    """Cut the script where the request says that the answer ends.

    `tools`: whether tool calls are read out of the text; else they stay in it, tags and all.
    `lags`: whether, with stop strings, the text that is sent stays behind the tokens.
    """
    written = _cut(say, stops=stops, max_tokens=max_tokens, tools=tools)
    if not (stops and lags):
        return written
    return _lagging(written, max(map(len, stops)) - 1)


def _cut(say: Say, *, stops: list[str], max_tokens: int | None, tools: bool) -> Written:
    every = tuple(_spoken(say, tools=tools))
    spoken = every if max_tokens is None else every[:max_tokens]
    for count in range(1, len(spoken) + 1) if stops else ():
        text = "".join(each.token.text for each in spoken[:count])
        found = [(text.find(stop), stop) for stop in stops if stop in text]
        if found:
            position, stop = min(found)
            return Written(_up_to(position, spoken[:count]), "stop", stop, None, say)
    if max_tokens is not None and max_tokens <= len(every):
        return Written(spoken, "length", None, None, say)
    ends = say.finish_reason != "length"
    return Written(spoken, say.finish_reason, None, say.end if ends else None, say)


def _spoken(say: Say, *, tools: bool) -> Iterator[Spoken]:
    for token in say.reasoning:
        yield Spoken(token, Part.REASONING, token.text)
    if say.reasoning:
        yield Spoken(Tok(_THOUGHT), Part.SYNTAX, "")
    for token in say.tokens:
        yield Spoken(token, Part.REFUSAL if say.refusal else Part.CONTENT, token.text)
    for index, call in enumerate(say.tool_calls):
        for each in _called(call, index):
            yield each if tools else replace(each, part=Part.CONTENT, text=each.token.text)


def _called(call: ToolCall, index: int) -> Iterator[Spoken]:
    """The text of a call as Hermes models write it; its name is known at the closing quote."""
    for text in (_OPEN, "\n", '{"name": "', call.name):
        yield Spoken(Tok(text), Part.SYNTAX, "", index)
    yield Spoken(Tok('", "arguments": '), Part.NAME, call.name, index)
    for token in call.arguments:
        yield Spoken(token, Part.ARGUMENTS, token.text, index)
    for text in ("}", "\n", _CLOSE):
        yield Spoken(Tok(text), Part.SYNTAX, "", index)


def _up_to(position: int, spoken: tuple[Spoken, ...]) -> tuple[Spoken, ...]:
    """The tokens, their texts cut where together they have `position` characters."""
    starts = accumulate((len(each.token.text) for each in spoken), initial=0)
    return tuple(
        replace(each, text=each.text[: max(0, position - start)])
        for start, each in zip(starts, spoken, strict=False)
    )


def _lagging(written: Written, characters: int) -> Written:
    """The last so many characters of content are held back until the answer ends."""
    spoken, sent, text = [], 0, ""
    for each in written.spoken:
        if each.part is Part.CONTENT:
            text += each.text
            ready = max(sent, len(text) - characters)
            spoken.append(replace(each, text=text[sent:ready]))
            sent = ready
        else:
            spoken.append(each)
    held = text[sent:]
    if held and written.end is None:
        last = max(i for i, each in enumerate(spoken) if each.part is Part.CONTENT)
        spoken[last] = replace(spoken[last], text=spoken[last].text + held)
        held = ""
    return replace(written, spoken=tuple(spoken), held=held)


def runners_up(token: Tok, count: int) -> list[tuple[str, float]]:
    """The given alternatives, then made-up ones: each takes half of the mass that is left."""
    known = list(token.alternatives)
    left = 1 - sum(math.exp(logprob) for _, logprob in [(token.text, token.logprob), *known])
    for rank in range(len(known), count):
        left = max(left, 1e-9) / 2
        known.append((f" other{rank + 1}", math.log(left)))
    return known


def token_id(text: str) -> int:
    """A made-up id: the same text always the same, and hardly any other text the same."""
    return _SPECIAL_IDS.get(text) or _FIRST_WORD_ID + crc32(text.encode()) % (
        49_152 - _FIRST_WORD_ID
    )


_SPECIAL_IDS = {"<|im_start|>": 1, "<|im_end|>": 2}
_FIRST_WORD_ID = 100
"""Smaller ones are of what is no word."""


def words(text: str) -> list[str]:
    """A prompt cut into made-up tokens; together they are the text."""
    return re.findall(r"\s*\S+|\s+$", text)


def as_json(arguments: str) -> str:
    """Arguments as a parser writes them anew; as they are where they are no JSON."""
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except ValueError:
        return arguments


def plain_text(content: object) -> str:
    """The text of a message's content, which may come in parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")
