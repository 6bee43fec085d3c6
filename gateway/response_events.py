"""Where each event of a streamed response belongs: its number, its item, its part.

vLLM and OpenAI write that into every event, and clients put the answer together by it; llama.cpp
leaves it out. Of the one stream that a client reads, it is filled in here.
"""

from typing import Protocol

import msgspec

from gateway.wire import UNREADABLE, as_json

_IN_A_PART = (
    *("response.output_text.", "response.content_part.", "response.refusal."),
    "response.reasoning_text.",
)
_WITH_LOGPROBS = ("response.output_text.delta", "response.output_text.done")
_ZERO = msgspec.Raw(b"0")
_NOTHING = msgspec.Raw(b"[]")


class _Item(Protocol):
    @property
    def id(self) -> str | None: ...
    @property
    def call_id(self) -> str | None: ...


class _Event(Protocol):
    """What is read here of an event."""

    @property
    def type(self) -> str: ...
    @property
    def sequence_number(self) -> int | None: ...
    @property
    def item_id(self) -> str | None: ...
    @property
    def item(self) -> _Item | None: ...


class Numbering:
    """Counts the events of one stream, and its items in the order in which they come."""

    def __init__(self) -> None:
        self._next = 0
        self._items: dict[str, int] = {}

    def take(self) -> int:
        """The number of the next event."""
        number, self._next = self._next, self._next + 1
        return number

    def numbered(self, payload: bytes, event: _Event) -> bytes:
        """Untouched where the engine has numbered it. An event of an unknown form stays as it is.

        Engines that do not number have a single part to an item.
        """
        if event.sequence_number is not None:
            self._next = event.sequence_number + 1
            return payload
        try:
            fields = _FIELDS.decode(payload)
        except UNREADABLE:
            return payload
        item = event.item
        item_id = event.item_id if item is None else item.id or item.call_id
        if item_id is not None:
            place = self._items.setdefault(item_id, len(self._items))
            fields.setdefault("output_index", as_json(place))
        if event.type.startswith(_IN_A_PART):
            fields.setdefault("content_index", _ZERO)
        if event.type in _WITH_LOGPROBS:
            fields.setdefault("logprobs", _NOTHING)
        fields["sequence_number"] = as_json(self.take())
        fields.pop("timings", None)
        return msgspec.json.encode(fields)


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
