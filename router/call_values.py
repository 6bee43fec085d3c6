"""Which bytes of a tool call decide: its name and its arguments' values, in the formats in use.

Hermes, Qwen   <tool_call>{"name": "f", "arguments": {"city": "Bonn"}}</tool_call>
Llama 3        {"name": "f", "parameters": {"city": "Bonn"}}; {"name": ...
Mistral        [TOOL_CALLS][{"name": "f", "arguments": {...}}]   [TOOL_CALLS]f[ARGS]{...}
Qwen 3 Coder   <tool_call><function=f><parameter=city>Bonn</parameter></function></tool_call>
GLM            <tool_call>f<arg_key>city</arg_key><arg_value>Bonn</arg_value></tool_call>
DeepSeek, Kimi a name between tags of their own, then the arguments as JSON
pythonic       [f(city="Bonn"), g()]
"""

import re
from collections.abc import Callable
from enum import Enum, auto

from router.json_values import Chosen, JsonValues

_ENVELOPE = Chosen(
    frozenset({"name", "arguments", "parameters", "function", "tool_name"}), in_list=True
)
"""Where a call is one object, its `type` and its random `id` are no choice of anything."""

_LESS, _MORE, _BRACKET, _BRACKET_END, _BACKTICK = b"<>[]`"
_LONGEST_TAG = 64
_NAMING = b"function="
_MUTED = frozenset({b"arg_key", b"CALL_ID"})
"""Tags before something that is no choice: a key, a random id."""
_VERBATIM = (b"parameter=", b"arg_value")
_VERBATIM_ENDS = (b"/parameter", b"/arg_value")
"""Tags around a value that is written as it is, be it code or markup."""

# What is read at one go. None of them matches nothing.
_BLANK = re.compile(rb"[ \t\n\r;,]+")
_WORD = re.compile(rb"[^ \t\n\r;,<\[{`]+")
_VERBATIM_BLANK = re.compile(rb"[ \t\n\r]+")
_VERBATIM_WORD = re.compile(rb"[^ \t\n\r<]+")
_TAG = re.compile(rb"[^ \t\n\r<>]+")
_CAPITALS = re.compile(rb"[A-Z_]+")


class CallValues:
    """Reads everything from the first call's marker to the end of the answer. O(1) a byte.

    Tags and whitespace do not decide. Of JSON, the values do: all of them once a name was read
    outside it, those of the envelope's `name` and `arguments` otherwise. Any other byte is a part
    of a name or of a value between tags, and decides; so what follows the calls is read as prose.
    """

    def __init__(self, *, naming: bool = False, in_list: bool = False) -> None:
        """naming: it begins inside `<function=`. in_list: inside a list of Python calls."""
        self._read: _Reader = CallValues._tag if naming else CallValues._bare
        self._tag_text = _NAMING if naming else b""
        self._document: JsonValues | None = None
        self._python: PythonValues | None = None
        self._named = False
        self._muted = False
        self._verbatim = False
        if in_list:
            self._begin_list()

    def read(self, token: bytes, at: int) -> bool:
        """Take the bytes from `at` on; True if one of them decides."""
        decides = False
        while at < len(token):
            more, at = self._read(self, token, at)
            decides |= more
        return decides

    # Readers. Each takes bytes from a place on and says whether one of them decides and where it
    # stopped; it either takes at least one byte or hands over to another reader.

    def _bare(self, token: bytes, at: int) -> tuple[bool, int]:
        """Outside tags and documents."""
        blank, word = (_VERBATIM_BLANK, _VERBATIM_WORD) if self._verbatim else (_BLANK, _WORD)
        if (run := blank.match(token, at)) is not None:
            return False, run.end()
        if (run := word.match(token, at)) is not None:
            self._named |= not self._muted
            return not self._muted, run.end()
        self._muted = False
        self._tag_text = b""
        byte = token[at]
        if byte == _LESS:
            self._read = CallValues._tag
        elif byte == _BRACKET:
            self._read = CallValues._bracket
        elif byte == _BACKTICK:
            self._read = CallValues._fence
        else:
            self._open(token[at : at + 1])
        return False, at + 1

    def _tag(self, token: bytes, at: int) -> tuple[bool, int]:
        """`<…>`; what cannot be a tag is a part of a value from there on."""
        if self._verbatim:
            return self._end_of_verbatim(token, at)
        seen = self._tag_text
        if (run := _TAG.match(token, at)) is not None and len(seen) < _LONGEST_TAG:
            at = run.end()
            self._tag_text = seen = seen + run.group()[:_LONGEST_TAG]
            named = len(seen) > len(_NAMING) and seen.startswith(_NAMING)
            self._named |= named
            return named, at
        if token[at] == _MORE:
            self._muted = seen in _MUTED
            self._verbatim = seen.startswith(_VERBATIM)
            at += 1
        self._read = CallValues._bare
        return False, at

    def _end_of_verbatim(self, token: bytes, at: int) -> tuple[bool, int]:
        seen = self._tag_text + token[at : at + 1]
        if any(end.startswith(seen) for end in _VERBATIM_ENDS):
            self._tag_text = seen
            return False, at + 1
        self._read = CallValues._bare
        if token[at] == _MORE and self._tag_text in _VERBATIM_ENDS:
            self._verbatim = False
            return False, at + 1
        return (False, at) if token[at] == _LESS else self._bare(token, at)

    def _bracket(self, token: bytes, at: int) -> tuple[bool, int]:
        """`[` begins a list of calls, or one of Mistral's own tags: [ARGS], [CALL_ID]."""
        run = _CAPITALS.match(token, at)
        if run is not None and len(self._tag_text) < _LONGEST_TAG:
            self._tag_text += run.group()[:_LONGEST_TAG]
            return False, run.end()
        self._read = CallValues._bare
        if self._tag_text and token[at] == _BRACKET_END:
            self._muted = self._tag_text in _MUTED
            return False, at + 1
        if self._tag_text:
            self._begin_list()
        else:
            self._open(b"[")
        return False, at

    def _fence(self, token: bytes, at: int) -> tuple[bool, int]:
        """The line of a fence, whose language is no choice."""
        if (end := token.find(b"\n", at)) < 0:
            return False, len(token)
        self._read = CallValues._bare
        return False, end + 1

    def _in_document(self, token: bytes, at: int) -> tuple[bool, int]:
        document = self._document
        assert document is not None  # noqa: S101 - opened before this reader is set
        decides, at = document.read(token, at)
        if document.over or document.broken:
            self._read = CallValues._bare
            if document.may_be_names and token[at : at + 1].isalpha():
                self._begin_list()
        return decides, at

    def _in_python(self, token: bytes, at: int) -> tuple[bool, int]:
        calls = self._python
        assert calls is not None  # noqa: S101 - begun before this reader is set
        decides, at = calls.read(token, at)
        if calls.over:
            self._read = CallValues._bare
        return decides, at

    # Transitions.

    def _open(self, opener: bytes) -> None:
        self._document = JsonValues(None if self._named else _ENVELOPE)
        self._document.read(opener, 0)
        self._read = CallValues._in_document

    def _begin_list(self) -> None:
        self._python = PythonValues()
        self._read = CallValues._in_python


_Reader = Callable[[CallValues, bytes, int], tuple[bool, int]]

_QUOTES = frozenset(b"\"'")
_BACKSLASH = ord("\\")
_PYTHON_OPENERS, _PYTHON_CLOSERS = frozenset(b"([{"), frozenset(b")]}")
_COMMA, _EQUALS = b",="
_SILENT = frozenset(b" \t\n\r:")
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
NAME_BYTES = _LETTERS | frozenset(b"0123456789.")
"""Of the name of a call in Python's syntax."""


class _Place(Enum):
    """Where the next word stands: at an argument's start, in its keyword, or where it decides."""

    ARGUMENT = auto()
    KEYWORD = auto()
    VALUE = auto()


class PythonValues:
    """Reads calls in Python's syntax, from inside their list on. O(1) a byte.

    Names of functions and arguments' values decide; names of arguments and punctuation do not.
    """

    def __init__(self) -> None:
        self._openers = bytearray()
        self._quote = 0
        self._escaped = False
        self._empty = False
        self._place = _Place.VALUE
        self.over = False
        """The list was read to its end."""

    def read(self, token: bytes, at: int) -> tuple[bool, int]:
        """Take the bytes from `at` on, up to the end of the list.

        Returns whether one of them decides, and the place of the first byte not taken.
        """
        decides = False
        for place in range(at, len(token)):
            decides |= self._take(token[place])
            if self.over:
                return decides, place + 1
        return decides, len(token)

    def _take(self, byte: int) -> bool:
        if self._quote:
            return self._in_string(byte)
        if byte in _QUOTES:
            self._quote, self._empty = byte, True
        elif byte in _SILENT:
            pass
        elif byte == _EQUALS:
            self._place = _Place.VALUE
        elif byte in _PYTHON_CLOSERS:
            self.over = not self._openers
            del self._openers[-1:]
            self._place = _Place.VALUE
        elif byte in _PYTHON_OPENERS or byte == _COMMA:
            if byte != _COMMA:
                self._openers.append(byte)
            in_call = self._openers[-1:] == b"("
            self._place = _Place.ARGUMENT if in_call else _Place.VALUE
        else:
            return self._in_word(byte)
        return False

    def _in_word(self, byte: int) -> bool:
        if self._place is _Place.ARGUMENT:
            self._place = _Place.KEYWORD if byte in _LETTERS else _Place.VALUE
        return self._place is _Place.VALUE

    def _in_string(self, byte: int) -> bool:
        if self._escaped:
            self._escaped = False
        elif byte == _BACKSLASH:
            self._escaped = True
        elif byte == self._quote:
            self._quote = 0
            return self._empty
        self._empty = False
        return True
