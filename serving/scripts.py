"""Scripts: what a scripted engine does with one request, written down before it happens.

    Say                     answer, perhaps slowly, perhaps pausing until told to go on
    Json, Events, Status    answer with exactly this body, these events, this error
    Hang, Reset, Cut        fall silent, break the connection, or end the stream too early
    Garbage                 send bytes that are not what they should be

`after` counts the tokens that were sent before the fault; None means that it happens before the
first byte of the response.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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


END_OF_TURN = Tok("<|im_end|>")


@dataclass(frozen=True, slots=True, init=False)
class Say:
    """Answer with these tokens; a plain string is a token with `logprob`."""

    tokens: tuple[Tok, ...]
    finish_reason: TypeOfEnd
    logprobs: bool
    """False: an engine that ignores the wish for logprobs."""
    pause_after: int | None
    """Pause when so many tokens are out, until `engine.resume()`."""
    held: bool
    """Pause before the first byte of the response, until `engine.resume()`."""
    token_delay_s: float
    end: Tok
    """The end-of-turn token: counted and with a logprob, and without text."""

    def __init__(
        self,
        *tokens: Tok | str,
        logprob: float = SURE,
        finish_reason: TypeOfEnd = "stop",
        logprobs: bool = True,
        pause_after: int | None = None,
        held: bool = False,
        token_delay_s: float = 0.0,
        end: Tok = END_OF_TURN,
    ) -> None:
        as_tokens = (Tok(token, logprob) if isinstance(token, str) else token for token in tokens)
        object.__setattr__(self, "tokens", tuple(as_tokens))
        object.__setattr__(self, "finish_reason", finish_reason)
        object.__setattr__(self, "logprobs", logprobs)
        object.__setattr__(self, "pause_after", pause_after)
        object.__setattr__(self, "held", held)
        object.__setattr__(self, "token_delay_s", token_delay_s)
        object.__setattr__(self, "end", end)


SENSIBLE = Say("All", " is", " well", ".")
"""What is said when nothing else was scripted."""


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
    """A stream of these events: a string is sent as it is, anything else as JSON; then [DONE]."""

    data: tuple[object, ...]

    def __init__(self, *data: object) -> None:
        object.__setattr__(self, "data", data)


@dataclass(frozen=True, slots=True)
class Status:
    """An error; the body is vLLM's unless one is given."""

    code: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Fall silent and stay connected until the client has had enough."""

    after: int | None = None
    of: Say = SENSIBLE


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection (TCP RST)."""

    after: int | None = None
    of: Say = SENSIBLE


@dataclass(frozen=True, slots=True)
class Cut:
    """End the stream without finish reason, usage or [DONE], as if that were all."""

    after: int = 0
    of: Say = SENSIBLE
    clean: bool = True
    """False: the connection is closed without the end marker of the chunked body."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """These bytes in place of the response; or, `after_headers`, in place of its body."""

    raw: bytes
    after_headers: bool = False


Behaviour = Say | Echo | Json | Events | Status | Hang | Reset | Cut | Garbage


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the engine read it."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Mapping[str, Any]
    """The parsed JSON; empty where there was none."""
