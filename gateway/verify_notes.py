"""The token ids that an engine was asked to tell: taken out of its bytes, and kept aside."""

import re
from contextlib import AbstractContextManager

import msgspec

from gateway.events import Events

_IDS = re.compile(rb',\s*"(prompt_)?token_ids"\s*:\s*(\[[\d,\s]*\])')
"""A quote inside a JSON string is escaped, so this can only be a key and its value."""
_decode = msgspec.json.Decoder(list[int]).decode


class Notes:
    """prompt_ids: None until they were told."""

    __slots__ = ("prompt_ids", "token_ids")

    def __init__(self) -> None:
        self.prompt_ids: list[int] | None = None
        self.token_ids: list[int] = []

    def take(self, payload: bytes) -> bytes:
        """The payload without them."""
        return _IDS.sub(self._note, payload)

    def _note(self, found: re.Match[bytes]) -> bytes:
        ids = _decode(found[2])
        if found[1]:
            self.prompt_ids = ids
        else:
            self.token_ids += ids
        return b""


class Noting:
    """A stream whose ids are taken out as it is read."""

    __slots__ = ("_events", "_notes")

    def __init__(self, events: Events, notes: Notes) -> None:
        self._events = events
        self._notes = notes

    @property
    def ready(self) -> bool:
        return self._events.ready

    async def next(self) -> bytes | None:
        payload = await self._events.next()
        return payload if payload is None else self._notes.take(payload)

    def closed_on_error(self) -> AbstractContextManager[None]:
        return self._events.closed_on_error()

    def close(self) -> None:
        self._events.close()
