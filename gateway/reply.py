"""What an engine said, in one form for every endpoint: parts with words, calls and tokens."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from router.trace import Usage

Token = tuple[bytes, float]
"""One generated token: its UTF-8 bytes, and its log-probability in nats."""


class Said(Protocol):
    """Words, or a piece of them; None and null where there is nothing of a kind."""

    @property
    def words(self) -> str | None: ...
    @property
    def calls(self) -> msgspec.Raw:
        """Tool calls, or pieces of them, as they came."""

    @property
    def refusal(self) -> str | None: ...
    @property
    def thoughts(self) -> str | None:
        """Reasoning before the answer, where the engine tells it apart."""


class Part(Protocol):
    """What a whole answer, or one event of a stream, says of one choice."""

    @property
    def index(self) -> int: ...
    @property
    def said(self) -> Said: ...
    @property
    def finish_reason(self) -> str | None:
        """Why the choice has ended; None while it goes on."""

    def tokens(self) -> Sequence[Token]:
        """The tokens that come with logprobs; empty when the engine sent none."""


class Reply(Protocol):
    """A whole answer or one event of a stream."""

    @property
    def parts(self) -> Sequence[Part]: ...
    @property
    def spent(self) -> Usage | None: ...
    @property
    def metrics(self) -> msgspec.Raw:
        """What vLLM tells besides, with `spent`; null where there is none."""

    @property
    def trouble(self) -> msgspec.Raw:
        """An error in the guise of an answer; null where there is none."""
