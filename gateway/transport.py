"""The small interface between an upstream and the bytes on its socket."""

import os
from collections.abc import Mapping
from typing import Protocol

SHORTER_THAN_THE_ENGINES_S = 4.0
"""vLLM and llama.cpp close idle connections after 5 s; ours must be the side that does it first."""


class TransportError(Exception):
    """The connection could not be made, or broke; the message says how.

    `safe`: the engine certainly did not work on this request, so that it may be sent again: no
    connection could be made, or a reused one turned out to be dead before it brought a byte.
    """

    def __init__(self, message: str, *, safe: bool = False) -> None:
        super().__init__(message)
        self.safe = safe


def in_words(error: OSError) -> str:
    """What the system calls it; asyncio's own wording would name addresses instead."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


class Response(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]:
        """Names are looked up without regard to case; of a repeated one the first counts."""

    async def read_some(self) -> bytes:
        """The next bytes of the body as they arrive; b"" at its end. Raises TransportError."""

    async def read(self) -> bytes:
        """The whole body, or what is left of it. Raises TransportError."""

    def close(self) -> None:
        """Hang up: the engine sees the connection end, and whoever reads gets a TransportError.

        Safe to call twice. After the end of the answer it does nothing: the connection is free.
        """


class Transport(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Send and wait for the response head. Raises TransportError."""

    async def get(self, url: str, headers: Mapping[str, str]) -> Response: ...
    async def delete(self, url: str, headers: Mapping[str, str]) -> Response: ...
    async def aclose(self) -> None: ...
