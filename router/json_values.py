"""Which bytes of a JSON document are values, told while it is being written. O(1) a byte."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_WHITESPACE = frozenset(b" \t\n\r")
_NUMBER_START = frozenset(b"-0123456789")
_NUMBER = frozenset(b"-+.eE0123456789")
_LITERALS = {word[0]: word for word in (b"true", b"false", b"null")}
_QUOTE, _BACKSLASH, _COLON, _COMMA = b'"\\:,'
_QUOTE_OR_BACKSLASH = re.compile(rb'["\\]').search
_CLOSERS = {ord("{"): ord("}"), ord("["): ord("]")}
_OBJECT_END, _ARRAY_END = b"}]"
_KEYS = json.JSONDecoder(strict=False)
_LONGEST_ESCAPE = len(rb"\uXXXX\uXXXX")
"""Bytes that one character of a key can take in JSON."""

OPENERS = frozenset(_CLOSERS)
"""What a document begins with: a lone string or number is not told from prose."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The keys of the outermost object whose values decide.

    once: the first of them only, the rest of the document being of no account.
    in_list: an array of such objects is read like the object.
    """

    keys: frozenset[str]
    once: bool = False
    in_list: bool = False
    key_bytes: int = field(init=False)
    """The longest that one of the keys can be written."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_bytes", max(map(len, self.keys)) * _LONGEST_ESCAPE)


class JsonValues:
    """Reads one object or array from its first byte on.

    The bytes that decide are those of values: the inside of a string, a number, `true`, `false`,
    `null`. Braces, keys, separators, whitespace and the quotes do not. Where nothing was written,
    the byte that closes an empty string, object or array decides: it is where "nothing" was
    chosen.
    """

    def __init__(self, chosen: Chosen | None = None) -> None:
        self._chosen = chosen
        self._key_bytes = chosen.key_bytes if chosen is not None else 0
        self._state: _State = JsonValues._first
        self._closers = bytearray()  # of the containers we are in, innermost last
        self._empty = False  # nothing was written yet in this string or container
        self._escaped = False
        self._key: bytearray | None = None  # the key being read, if it may be a chosen one
        self._literal = b""  # what is still to come of true, false or null
        self._decides = chosen is None
        self._chosen_depth = 0  # of the container whose member is being chosen
        self.over = False
        """The document was read to its end."""
        self.broken = False
        """It stopped being JSON at the byte that `read` did not take."""
        self.in_value = False
        """The last byte read is inside a deciding value that may still go on."""
        self.found_once = False
        """With `once`: the chosen value was read to its end."""

    @property
    def may_be_names(self) -> bool:
        """It broke at the first item of an outermost array: `[f(x=1)]` begins like that."""
        return self.broken and self._empty and self._closers == b"]"

    def read(self, token: bytes, at: int) -> tuple[bool, int]:
        """Take the bytes from `at` on, up to the end of the document or to where it breaks.

        Returns whether a byte of them decides, and the place of the first byte not taken.
        """
        decides, place, end = False, at, len(token)
        while place < end:
            state = self._state
            if state in _QUOTED and not self._escaped:
                # What is quoted goes on to the next quote or backslash, and need not be read.
                found = _QUOTE_OR_BACKSLASH(token, place)
                stop = found.start() if found is not None else end
                if stop > place:
                    if state is _STRING:
                        self._empty = False
                        decides |= self._decides
                    elif self._key is not None and len(self._key) <= self._key_bytes:
                        self._key += token[place : min(stop, place + self._key_bytes + 1)]
                    place = stop
                    continue
            decides |= state(self, token[place])
            if self.broken:
                return decides, place
            place += 1
            if self.over or self.found_once:
                break
        return decides, place

    # States. Each takes one byte, says whether it decides, and sets the next state.

    def _first(self, byte: int) -> bool:
        return self._open(byte)

    def _value(self, byte: int) -> bool:
        """Where a value may begin, or the array it would be in may end."""
        if byte in _WHITESPACE:
            return False
        if byte in OPENERS:
            return self._open(byte)
        if byte == _QUOTE:
            self._empty = True
            self._state = JsonValues._string
            self.in_value = self._decides
            return False
        if self._empty and byte == self._closers[-1]:
            return self._close()
        return self._scalar(byte)

    def _scalar(self, byte: int) -> bool:
        """The first byte of a number or a literal."""
        if byte in _NUMBER_START:
            self._state = JsonValues._number
            self.in_value = self._decides
            return self._decides
        self._literal = _LITERALS.get(byte, b"")
        if not self._literal:
            return self._break()
        self._state = JsonValues._word
        self.in_value = self._decides
        return self._word(byte)

    def _string(self, byte: int) -> bool:
        if self._escaped:
            self._escaped = False
        elif byte == _BACKSLASH:
            self._escaped = True
        elif byte == _QUOTE:
            decides = self._empty and self._decides
            self._end_value()
            return decides
        self._empty = False
        return self._decides

    def _number(self, byte: int) -> bool:
        if byte in _NUMBER:
            return self._decides
        self._end_value()
        return False if self.found_once else self._state(self, byte)

    def _word(self, byte: int) -> bool:
        if byte != self._literal[0]:
            return self._break()
        self._literal = self._literal[1:]
        decides = self._decides
        if not self._literal:
            self._end_value()
        return decides

    def _before_key(self, byte: int) -> bool:
        """Where a key may begin, or an empty object may end."""
        if byte in _WHITESPACE:
            return False
        if byte == _QUOTE:
            self._key = bytearray() if self._may_choose() else None
            self._state = JsonValues._in_key
            return False
        if self._empty and byte == self._closers[-1]:
            return self._close()
        return self._break()

    def _in_key(self, byte: int) -> bool:
        if byte == _QUOTE and not self._escaped:
            if self._key is not None and self._is_chosen(self._key):
                self._decides, self._chosen_depth = True, len(self._closers)
            self._state = JsonValues._after_key
            return False
        self._escaped = byte == _BACKSLASH and not self._escaped
        if self._key is not None and len(self._key) <= self._key_bytes:
            self._key.append(byte)
        return False

    def _after_key(self, byte: int) -> bool:
        if byte == _COLON:
            self._empty = False
            self._state = JsonValues._value
            return False
        return False if byte in _WHITESPACE else self._break()

    def _after_value(self, byte: int) -> bool:
        if byte in _WHITESPACE:
            return False
        closer = self._closers[-1]
        if byte == closer:
            self._empty = False
            return self._close()
        if byte == _COMMA:
            self._empty = False
            in_object = closer == _OBJECT_END
            self._state = JsonValues._before_key if in_object else JsonValues._value
            return False
        return self._break()

    # Transitions.

    def _open(self, byte: int) -> bool:
        self._closers.append(_CLOSERS[byte])
        self._empty = True
        in_object = self._closers[-1] == _OBJECT_END
        self._state = JsonValues._before_key if in_object else JsonValues._value
        return False

    def _close(self) -> bool:
        decides = self._empty and self._decides
        self._closers.pop()
        self._end_value()
        return decides

    def _end_value(self) -> None:
        depth = len(self._closers)
        if self._chosen is not None and self._decides and depth == self._chosen_depth:
            self._decides = False
            self.found_once = self._chosen.once
        self.over = not depth
        self.in_value = False
        self._state = JsonValues._after_value

    def _break(self) -> bool:
        self.broken, self.in_value = True, False
        return False

    def _may_choose(self) -> bool:
        """Whether a key that begins here belongs to the outermost object, and none is open."""
        if self._chosen is None or self._decides:
            return False
        depth = len(self._closers)
        return depth == 1 or (self._chosen.in_list and self._closers[:-1] == b"]")

    def _is_chosen(self, key: bytearray) -> bool:
        assert self._chosen is not None  # noqa: S101 - only a key that may be chosen is kept
        if len(key) > self._key_bytes:
            return False
        try:
            written = key.decode()
            said = _KEYS.decode(f'"{written}"') if "\\" in written else written
        except ValueError:  # a broken escape or broken UTF-8 is nobody's key
            return False
        return said in self._chosen.keys


_State = Callable[[JsonValues, int], bool]
_STRING = JsonValues._string  # noqa: SLF001 - its own state
_QUOTED = {_STRING, JsonValues._in_key}  # noqa: SLF001 - its own states
