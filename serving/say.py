"""What a scripted engine says: tokens with their logprobs, calls, thoughts, pauses."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SURE = -0.01
"""The logprob of a token that the model had little doubt about."""
UNSURE = -4.0
"""The logprob of a token that the model did not expect itself."""

TypeOfEnd = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Tok:
    """One token of an answer."""

    text: str
    logprob: float = SURE
    alternatives: tuple[tuple[str, float], ...] = ()
    """(text, logprob) of the runners-up; those that are asked for and not given are made up."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """How a speculating engine came to an answer: `tokens` drafted in `steps`, so many kept."""

    steps: int
    tokens: int
    accepted: int


END_OF_TURN = Tok("<|im_end|>")


def as_tokens(tokens: tuple[Tok | str, ...], logprob: float) -> tuple[Tok, ...]:
    return tuple(Tok(token, logprob) if isinstance(token, str) else token for token in tokens)


@dataclass(frozen=True, slots=True, init=False)
class ToolCall:
    """A call of one function; arguments given as one string are cut into tokens at words.

    `ToolCall("get_weather", '{"city": "Paris"}', logprob=-0.3)`. The arguments may be no JSON at
    all: an engine passes on what the model wrote.
    """

    name: str
    arguments: tuple[Tok, ...]
    id: str | None
    """None: one is made up."""

    def __init__(
        self,
        name: str,
        arguments: str | tuple[Tok | str, ...] = "{}",
        *,
        logprob: float = SURE,
        id: str | None = None,  # noqa: A002  the API's own word
    ) -> None:
        if isinstance(arguments, str):
            arguments = tuple(re.findall(r"\s*(?:\w+|[^\w\s]+)|\s+$", arguments))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "arguments", as_tokens(arguments, logprob))
        object.__setattr__(self, "id", id)

    @property
    def arguments_text(self) -> str:
        return "".join(token.text for token in self.arguments)


@dataclass(frozen=True, slots=True, init=False)
class Say:
    """Answer with these tokens; a plain string is a token with `logprob`."""

    tokens: tuple[Tok, ...]
    reasoning: tuple[Tok, ...]
    """What the model thinks before it answers."""
    tool_calls: tuple[ToolCall, ...]
    """Made after `tokens`; plain text unless the request brings tools."""
    refusal: bool
    """The tokens are a refusal, told as OpenAI tells one; no local engine does so itself."""
    finish_reason: TypeOfEnd | None
    """None: the answer ends and nobody says why."""
    logprobs: bool
    """False: an engine that ignores the wish for logprobs."""
    pause_after: int | None
    """Pause when so many tokens are out, until `engine.resume()`."""
    pause_each: bool
    """Pause before every token: a slow drip, one token per `engine.resume()`."""
    held: bool
    """Pause before the first byte of the response, until `engine.resume()`."""
    token_delay_s: float
    end: Tok
    """The end-of-turn token: counted and with a logprob, and without text."""
    drafted: Drafted | None
    """What an engine that speculates tells of it."""

    def __init__(
        self,
        *tokens: Tok | str,
        reasoning: tuple[Tok | str, ...] = (),
        tool_calls: tuple[ToolCall, ...] = (),
        refusal: bool = False,
        logprob: float = SURE,
        finish_reason: TypeOfEnd | None = "stop",
        logprobs: bool = True,
        pause_after: int | None = None,
        pause_each: bool = False,
        held: bool = False,
        token_delay_s: float = 0.0,
        end: Tok = END_OF_TURN,
        drafted: Drafted | None = None,
    ) -> None:
        object.__setattr__(self, "tokens", as_tokens(tokens, logprob))
        object.__setattr__(self, "reasoning", as_tokens(reasoning, logprob))
        object.__setattr__(self, "tool_calls", tool_calls)
        object.__setattr__(self, "refusal", refusal)
        object.__setattr__(self, "finish_reason", finish_reason)
        object.__setattr__(self, "logprobs", logprobs)
        object.__setattr__(self, "pause_after", pause_after)
        object.__setattr__(self, "pause_each", pause_each)
        object.__setattr__(self, "held", held)
        object.__setattr__(self, "token_delay_s", token_delay_s)
        object.__setattr__(self, "end", end)
        object.__setattr__(self, "drafted", drafted)


SENSIBLE = Say("All", " is", " well", ".")
"""What is said when nothing else was scripted."""


@dataclass(frozen=True, slots=True, init=False)
class Choices:
    """Each choice of n says something of its own; with more choices than sayings, from the start.

    Pauses and delays are those of the first.
    """

    says: tuple[Say, ...]

    def __init__(self, *says: Say) -> None:
        object.__setattr__(self, "says", says)


@dataclass(frozen=True, slots=True)
class Echo:
    """Repeat the user's last words, with a confidence that depends on them and on `seed` alone."""

    seed: int = 0
    token_delay_s: float = 0.0

    def say(self, words: str) -> Say:
        """Three in four texts are answered surely; which ones, the seed and the text decide."""
        digest = hashlib.sha256(f"{self.seed} {words}".encode()).digest()
        sure = digest[0] < 0.75 * 256
        doubt_nats = (0.01 if sure else 0.7) + (0.1 if sure else 2.0) * digest[1] / 255
        spoken = re.findall(r"\s*\S+", f"You said: {words}")
        return Say(*spoken, logprob=-doubt_nats, token_delay_s=self.token_delay_s)


@dataclass(frozen=True, slots=True)
class Json:
    """200 with this body, whatever was asked."""

    body: object


@dataclass(frozen=True, slots=True, init=False)
class Events:
    """A stream of these events: a string is sent as it is, anything else as JSON; then [DONE].

    Without [DONE] where `done` is False, as /v1/responses has it. An object with a `type` gets an
    `event:` line of that name.
    """

    data: tuple[object, ...]
    done: bool

    def __init__(self, *data: object, done: bool = True) -> None:
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "done", done)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the engine read it."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Mapping[str, Any]
    """The parsed JSON; empty where there was none."""
    raw: bytes = b""
    """The body, byte for byte."""
