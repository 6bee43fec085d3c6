"""Which tokens of an answer decide: those that carry its values, its words or its calls.

In `{"sentiment":"negative"}` a trained student writes the braces, the key and the quotes with
certainty; the doubt is in `negative`. A mean over all tokens drowns it in template, so only the
deciding tokens are read (see README.md for what that is worth).
"""

import re
from collections.abc import Callable

from router.call_values import NAME_BYTES, CallValues
from router.json_values import OPENERS, Chosen, JsonValues
from router.markers import (
    CALLS_BEGIN,
    REASONING_BEGINS,
    REASONING_ENDS,
    STARTS,
    Markers,
    MarkerSearch,
)

_SPECIAL = re.compile(rb"<\|[^|<>]*\|>|</?s>|<eos>|<end_of_turn>")
"""Control tokens of the chat templates in use: they end an answer, they are not part of it."""

_WHITESPACE = frozenset(b" \t\n\r")
_LESS, _BRACKET, _BACKTICK, _NEWLINE, _SEMICOLON = b"<[`\n;"
_PARENTHESIS = ord("(")
_FENCE = len("```")
_NAMING = b"<function="


class DecidingTokens:
    """Tells, token by token, which tokens of an answer carry a deciding value. O(1) a byte.

    If the answer begins with `{` or `[` (a ```json fence before it is looked through), the values
    decide (`JsonValues`), and with a `label` only the value at that top-level key: the first, if a
    key is repeated, and nothing after it. Any other answer is free text, where every token decides
    but leading whitespace, a fence line and empty or control tokens such as `<|im_end|>`. What
    begins as JSON and stops being JSON (`[Note] ...`, a remark after the closing brace) is free
    text from that byte on; with a label it decides nothing, since there is no label in it to be
    sure of.

    Reasoning (`<think>…</think>`) does not decide, even if its beginning stood in the prompt:
    after its end the answer begins anew. With `tools`, an answer that makes calls is decided by
    them alone (`CallValues`), whatever was said before them and whatever the label.

    A token decides if one of its bytes does, so the way a tokenizer cuts the bytes changes nothing
    but the granularity. A byte that may begin a marker does not decide.
    """

    def __init__(self, label: str | None = None, *, tools: bool = False) -> None:
        self._chosen = None if label is None else Chosen(frozenset({label}), once=True)
        self._tools = tools
        self._at_start = _AT_START_WITH_TOOLS if tools else _AT_START
        self._in_text = _IN_TEXT_WITH_TOOLS if tools else _IN_TEXT
        self._read: _Reader = DecidingTokens._start
        self._search = MarkerSearch()
        self._backticks = 0
        self._json: JsonValues | None = None
        self._calls: CallValues | None = None
        self.plain = False
        """Free text with no marker begun: a token without `<` and `[` decides if it is there."""
        self.in_value = False
        """The last byte fed is inside a deciding JSON value that may still go on."""
        self.label_complete = False
        """The labelled value was read to its end: no later token decides."""
        self.in_reasoning = False
        self.in_calls = False
        """A call has begun; there may be more until the answer ends."""
        self.restarts = 0
        """How often the deciding part began anew: what was fed before does not decide after all."""

    def feed(self, token: bytes) -> bool:
        """Take the answer's next bytes; True if they carry (part of) a deciding value."""
        if self.plain and _LESS not in token and _BRACKET not in token:
            return bool(token)
        if token[:1] == b"<" and self._is_control(token):
            return False
        if self._calls is not None:
            return self._calls.read(token, 0)
        decides, at, restarts = False, 0, self.restarts
        while at < len(token):
            more, at = self._read(self, token, at)
            if restarts != self.restarts:
                decides, restarts = False, self.restarts
            decides |= more
        self.plain = self._read is DecidingTokens._text and not self._search.pending
        return decides

    def _is_control(self, token: bytes) -> bool:
        return _SPECIAL.fullmatch(token) is not None and token not in self._at_start.whole

    # Readers. Each takes bytes from a place on and says whether one of them decides and where it
    # stopped; it either takes at least one byte or hands over to another reader.

    def _start(self, token: bytes, at: int) -> tuple[bool, int]:
        """Nothing but whitespace so far."""
        byte = token[at]
        if byte in _WHITESPACE:
            return False, at + 1
        if byte in STARTS:
            if token[at:] in self._at_start.whole:
                self._turn(token[at:])
                return False, len(token)
            self._read = DecidingTokens._start_of_marker
        elif byte in OPENERS:
            return self._open(token, at)
        elif byte == _BACKTICK:
            self._read = DecidingTokens._start_of_fence
        else:
            self._read = DecidingTokens._text
        return False, at

    def _start_of_fence(self, token: bytes, at: int) -> tuple[bool, int]:
        byte = token[at]
        if byte == _BACKTICK:
            self._backticks += 1
            return False, at + 1
        if self._backticks == _FENCE and byte in OPENERS:
            return self._open(token, at)
        fenced = self._backticks >= _FENCE
        self._read = DecidingTokens._fence_line if fenced else DecidingTokens._text
        return False, at

    def _start_of_marker(self, token: bytes, at: int) -> tuple[bool, int]:
        """`<` or `[` and what follows; a `[` that begins no marker begins an array."""
        begun = self._search.pending
        found = self._search.step(token[at], self._at_start)
        if found is not None:
            self._turn(found)
            return False, at + 1
        if self._search.pending and len(self._search.pending) > len(begun):
            return False, at + 1
        self._search.pending = b""
        if begun == b"[":
            self._json = JsonValues(self._chosen)
            self._json.read(begun, 0)
            self._read = DecidingTokens._in_json
        elif begun[:1] == b"[" and self._chosen is not None:
            self._read = DecidingTokens._silent
        else:
            self._read = DecidingTokens._text
        return False, at

    def _fence_line(self, token: bytes, at: int) -> tuple[bool, int]:
        """The language after the backticks: ```json."""
        if token[at] == _NEWLINE:
            self._read = DecidingTokens._fenced_start
        return False, at + 1

    def _fenced_start(self, token: bytes, at: int) -> tuple[bool, int]:
        if token[at] in _WHITESPACE:
            return False, at + 1
        if token[at] in OPENERS:
            return self._open(token, at)
        self._read = DecidingTokens._text
        return False, at

    def _open(self, token: bytes, at: int) -> tuple[bool, int]:
        self._json = JsonValues(self._chosen)
        self._read = DecidingTokens._in_json
        return self._in_json(token, at)

    def _in_json(self, token: bytes, at: int) -> tuple[bool, int]:
        document = self._json
        assert document is not None  # noqa: S101 - opened before this reader is set
        decides, at = document.read(token, at)
        self.in_value = document.in_value
        if document.found_once:
            self.label_complete = True
            self._read = DecidingTokens._silent
        elif document.over:
            self._read = DecidingTokens._after_document
        elif document.broken and self._tools and document.may_be_names:
            self._read = DecidingTokens._name_or_text
        elif document.broken:
            self._prose_or_nothing()
        return decides, at

    def _name_or_text(self, token: bytes, at: int) -> tuple[bool, int]:
        """After a first `[`: the name of a Python call up to its `(`, or words."""
        if token[at] in NAME_BYTES:
            return True, at + 1
        if token[at] == _PARENTHESIS:
            self._begin_calls(CallValues(in_list=True))
        else:
            self._prose_or_nothing()
        return False, at

    def _after_document(self, token: bytes, at: int) -> tuple[bool, int]:
        """The document is complete: whitespace, the closing fence or a second call may follow."""
        byte = token[at]
        if byte in _WHITESPACE or (self._backticks and byte == _BACKTICK):
            return False, at + 1
        if byte == _SEMICOLON and self._tools and self._chosen is None:
            self._begin_calls(CallValues())
            return False, at + 1
        self._prose_or_nothing()
        return False, at

    def _text(self, token: bytes, at: int) -> tuple[bool, int]:
        """Free text: every byte decides that does not begin a marker."""
        if not self._search.pending and token[at:] in self._in_text.whole:
            self._turn(token[at:])
            return False, len(token)
        decides = False
        for place in range(at, len(token)):
            if (found := self._search.step(token[place], self._in_text)) is not None:
                self._turn(found)
                return False, place + 1
            decides = decides or not self._search.pending
        return decides, len(token)

    def _reasoning(self, token: bytes, at: int) -> tuple[bool, int]:
        for place in range(at, len(token)):
            if (found := self._search.step(token[place], _IN_REASONING)) is not None:
                self._turn(found)
                return False, place + 1
        return False, len(token)

    def _in_calls(self, token: bytes, at: int) -> tuple[bool, int]:
        assert self._calls is not None  # noqa: S101 - this reader is set with it
        return self._calls.read(token, at), len(token)

    def _silent(self, token: bytes, _at: int) -> tuple[bool, int]:
        return False, len(token)

    # Transitions.

    def _turn(self, marker: bytes) -> None:
        """What a marker says of what follows it."""
        self.in_reasoning = marker in REASONING_BEGINS
        if self.in_reasoning:
            self._read = DecidingTokens._reasoning
            return
        self.restarts += 1
        if marker in REASONING_ENDS:
            self._backticks = 0
            self._read = DecidingTokens._start
        else:
            self._begin_calls(CallValues(naming=marker == _NAMING))

    def _begin_calls(self, calls: CallValues) -> None:
        self._calls = calls
        self.in_calls = True
        self._read = DecidingTokens._in_calls

    def _prose_or_nothing(self) -> None:
        prose = self._chosen is None
        self._read = DecidingTokens._text if prose else DecidingTokens._silent


_Reader = Callable[[DecidingTokens, bytes, int], tuple[bool, int]]

_IN_REASONING = Markers(REASONING_ENDS)
_IN_TEXT = Markers(REASONING_ENDS)
_IN_TEXT_WITH_TOOLS = Markers(REASONING_ENDS, CALLS_BEGIN)
_AT_START = Markers(REASONING_BEGINS, REASONING_ENDS)
_AT_START_WITH_TOOLS = Markers(REASONING_BEGINS, REASONING_ENDS, CALLS_BEGIN)
