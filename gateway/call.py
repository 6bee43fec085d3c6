"""One call to an upstream: where, with which bytes, how its stream ends, and until when."""

from collections.abc import Mapping
from enum import Enum, auto

import msgspec

_BESIDE_V1 = frozenset({"/tokenize", "/detokenize"})
"""What engines serve at their root and not under `/v1`."""


class Ending(Enum):
    """How a stream says that it is whole."""

    DONE_MARKER = auto()
    """`data: [DONE]`: chat and text completions. An end without it is a cut."""
    TERMINAL_EVENT = auto()
    """The connection's end, after an event that the reader knows as the last: responses. Whether
    that event came is the reader's to check."""


class Call(msgspec.Struct, frozen=True):
    """`path` as it follows `/v1`: "/chat/completions", "/responses", "/embeddings", "/tokenize".

    affinity: calls with equal bytes prefer the same replica, whose KV cache may hold their prefix.
    until_s: the monotonic time at which the client will have given up; every timeout of the call is
    shortened to it.
    caller: whose calls these are, for a fair queue.
    background: nobody waits for it (shadow): it gives way to clients.
    trace: headers that say which trace it belongs to.
    """

    path: str
    body: bytes
    ending: Ending = Ending.DONE_MARKER
    affinity: bytes | None = None
    until_s: float | None = None
    caller: str | None = None
    background: bool = False
    trace: Mapping[str, str] | None = None


def url_of(base_url: str, path: str) -> str:
    """Where `path` is served by an engine whose OpenAI API lies at `base_url`."""
    if path in _BESIDE_V1:
        return base_url.removesuffix("/v1") + path
    return base_url + path
