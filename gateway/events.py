"""The events of a stream, from wherever they come: what is read here is what `EventStream` has."""

from contextlib import AbstractContextManager
from typing import Protocol


class Events(Protocol):
    """See `gateway.event_stream`."""

    @property
    def ready(self) -> bool: ...
    async def next(self) -> bytes | None: ...
    def closed_on_error(self) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...
