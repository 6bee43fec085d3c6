"""Tool calls put together from the pieces that a stream brings; whole ones as they are."""

from collections.abc import Sequence
from typing import Literal

import msgspec


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """One call, in chat's form."""

    id: str | None = None
    type: str = "function"
    function: Function = msgspec.field(default_factory=Function)


class _Piece(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    type: Literal["function"] | None = None
    function: Function | None = None


def assembled(pieces: Sequence[msgspec.Raw]) -> list[ToolCall]:
    """The calls in the order in which they began. A piece continues the call of its index.

    Raises msgspec.DecodeError for what is no list of function calls.
    """
    calls: list[ToolCall] = []
    at_index: dict[int, ToolCall] = {}
    for raw in pieces:
        for piece in _PIECES.decode(raw):
            call = at_index.get(piece.index) if piece.index is not None else None
            if call is None:
                call = ToolCall(function=Function(name=None, arguments=""))
                calls.append(call)
                if piece.index is not None:
                    at_index[piece.index] = call
            _extend(call, piece)
    return calls


def _extend(call: ToolCall, piece: _Piece) -> None:
    call.id = call.id or piece.id
    call.type = piece.type or call.type
    if piece.function is not None:
        call.function.name = call.function.name or piece.function.name
        call.function.arguments = (call.function.arguments or "") + (piece.function.arguments or "")


_PIECES = msgspec.json.Decoder(list[_Piece])
