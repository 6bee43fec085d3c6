"""What can be read off a token stream: which tokens decide, and how probable they were.

In `{"sentiment":"negative"}` a trained student writes the braces, the key and the quotes with
certainty; the doubt is in `negative`. A mean over all tokens drowns it in template, so only the
deciding tokens are read (see README.md for what that is worth).
"""

import json
import math
import re
from collections.abc import Callable
from typing import Protocol

_SPECIAL = re.compile(rb"<\|[^|<>]*\|>|</?s>|<eos>|<end_of_turn>")
"""Control tokens of the chat templates in use: they end an answer, they are not part of it."""

_WHITESPACE = frozenset(b" \t\n\r")
_NUMBER_START = frozenset(b"-0123456789")
_NUMBER = frozenset(b"-+.eE0123456789")
_LITERALS = {word[0]: word for word in (b"true", b"false", b"null")}
_QUOTE, _BACKSLASH, _COLON, _COMMA, _BACKTICK, _NEWLINE = b'"\\:,`\n'
_OPENERS = {ord("{"): ord("}"), ord("["): ord("]")}
_LONGEST_ESCAPE = len(rb"\uXXXX\uXXXX")
"""Bytes that one character of a key can take in JSON."""


class DecidingTokens:
    r"""Tells, token by token, which tokens of an answer carry a deciding value. O(1) a byte.

    If the answer begins with `{` or `[` (a ```json fence before it is looked through), the bytes
    that decide are those of JSON values: the inside of a string, a number, `true`, `false`,
    `null`. Braces, keys, separators, whitespace and the quotes themselves do not. Where nothing
    was written, the byte that closes an empty string, object or array decides: it is where
    "nothing" was chosen. With a `label`, only the value at that top-level key decides (the first,
    if a key is repeated), and nothing after it. A token decides if one of its bytes does, so the
    way a tokenizer cuts the bytes changes nothing but the granularity.

    Any other answer is free text, where every token decides but leading whitespace, a fence line
    and empty or control tokens such as `<|im_end|>`. What begins as JSON and stops being JSON
    (`[Note] ...`, a remark after the closing brace) is free text from that byte on; with a label
    it decides nothing, since there is no label in it to be sure of.
    """

    def __init__(self, label: str | None = None) -> None:
        self._label = label
        self._label_bytes = 0 if label is None else len(label) * _LONGEST_ESCAPE
        self._state: _State = DecidingTokens._before
        self._closers = bytearray()  # of the containers we are in, innermost last
        self._empty = False  # nothing was written yet in this string or container
        self._escaped = False
        self._key: bytearray | None = None  # the top-level key being read, as it is written
        self._literal = b""  # what is still to come of true, false or null
        self._labelled = False  # inside the labelled value
        self._fenced = False
        self._backticks = 0
        self.label_complete = False
        """The labelled value was read to its end: no later token decides."""

    @property
    def in_value(self) -> bool:
        """The last byte fed is inside a deciding value that may still go on."""
        return self._decides and self._state in _VALUE_STATES

    def feed(self, token: bytes) -> bool:
        """Take the answer's next bytes; True if they carry (part of) a deciding value."""
        if token[:1] == b"<" and _SPECIAL.fullmatch(token):
            return False
        if self._state is DecidingTokens._free:  # prose need not be read byte by byte
            return bool(token)
        decides = False
        for byte in token:
            decides |= self._state(self, byte)
        return decides

    @property
    def _decides(self) -> bool:
        return self._label is None or self._labelled

    # States. Each takes one byte, says whether it decides, and sets the next state.

    def _before(self, byte: int) -> bool:
        """Nothing but whitespace, or the backticks of a fence, so far."""
        if byte in _OPENERS and self._backticks in {0, 3}:
            return self._open(byte)
        if byte == _BACKTICK:
            self._backticks += 1
            return False
        if self._backticks >= len("```"):
            return self._go(DecidingTokens._fence_line, byte)
        if self._backticks == 0 and byte in _WHITESPACE:
            return False
        return self._go(DecidingTokens._free, byte)

    def _fence_line(self, byte: int) -> bool:
        """The language after the backticks: ```json."""
        if byte == _NEWLINE:
            self._state = DecidingTokens._fenced_start
        return False

    def _fenced_start(self, byte: int) -> bool:
        if byte in _WHITESPACE:
            return False
        if byte in _OPENERS:
            return self._open(byte)
        return self._go(DecidingTokens._free, byte)

    def _free(self, _byte: int) -> bool:
        return True

    def _silent(self, _byte: int) -> bool:
        return False

    def _value(self, byte: int) -> bool:
        """Where a value may begin, or the array it would be in may end."""
        if byte in _WHITESPACE:
            return False
        if byte in _OPENERS:
            return self._open(byte)
        if byte == _QUOTE:
            self._empty = True
            self._state = DecidingTokens._string
            return False
        if self._empty and byte == self._closers[-1]:
            return self._close()
        if byte in _NUMBER_START:
            return self._go(DecidingTokens._number, byte)
        self._literal = _LITERALS.get(byte, b"")
        return self._go(DecidingTokens._word, byte) if self._literal else self._broken(byte)

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
        return self._state(self, byte)

    def _word(self, byte: int) -> bool:
        if byte != self._literal[0]:
            return self._broken(byte)
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
            top_level = len(self._closers) == 1 and self._label is not None
            self._key = bytearray() if top_level else None
            self._state = DecidingTokens._in_key
            return False
        if self._empty and byte == self._closers[-1]:
            return self._close()
        return self._broken(byte)

    def _in_key(self, byte: int) -> bool:
        if byte == _QUOTE and not self._escaped:
            self._labelled = self._labelled or self._is_label()
            self._state = DecidingTokens._after_key
            return False
        self._escaped = byte == _BACKSLASH and not self._escaped
        if self._key is not None and len(self._key) <= self._label_bytes:
            self._key.append(byte)
        return False

    def _after_key(self, byte: int) -> bool:
        if byte == _COLON:
            self._empty = False
            self._state = DecidingTokens._value
            return False
        return False if byte in _WHITESPACE else self._broken(byte)

    def _after_value(self, byte: int) -> bool:
        if byte in _WHITESPACE:
            return False
        closer = self._closers[-1]
        if byte == closer:
            self._empty = False
            return self._close()
        if byte == _COMMA:
            in_object = closer == _OPENERS[ord("{")]
            self._empty = False
            self._state = DecidingTokens._before_key if in_object else DecidingTokens._value
            return False
        return self._broken(byte)

    def _after_document(self, byte: int) -> bool:
        """The document is complete: whitespace and the closing fence may follow."""
        if byte in _WHITESPACE or (self._fenced and byte == _BACKTICK):
            return False
        return self._broken(byte)

    # Transitions.

    def _go(self, state: "_State", byte: int) -> bool:
        self._state = state
        return state(self, byte)

    def _open(self, byte: int) -> bool:
        self._fenced = self._backticks > 0
        self._closers.append(_OPENERS[byte])
        self._empty = True
        in_object = byte == ord("{")
        self._state = DecidingTokens._before_key if in_object else DecidingTokens._value
        return False

    def _close(self) -> bool:
        decides = self._empty and self._decides
        self._closers.pop()
        self._end_value()
        return decides

    def _end_value(self) -> None:
        if self._labelled and len(self._closers) == 1:
            self._labelled = False
            self.label_complete = True
            self._state = DecidingTokens._silent
        elif self._closers:
            self._state = DecidingTokens._after_value
        else:
            self._state = DecidingTokens._after_document

    def _broken(self, byte: int) -> bool:
        self._labelled = False
        broken = DecidingTokens._free if self._label is None else DecidingTokens._silent
        return self._go(broken, byte)

    def _is_label(self) -> bool:
        if self._key is None or len(self._key) > self._label_bytes:
            return False
        try:
            return bool(json.loads(b'"' + self._key + b'"', strict=False) == self._label)
        except ValueError:  # a broken escape or broken UTF-8 is nobody's label
            return False


_State = Callable[[DecidingTokens, int], bool]
_VALUE_STATES = {DecidingTokens._string, DecidingTokens._number, DecidingTokens._word}  # noqa: SLF001 - its own states


class RunningSignal(Protocol):
    """A signal that is kept up to date token by token, in O(1)."""

    @property
    def value(self) -> float | None:
        """Probability in [0, 1]; None before the first token."""

    def add(self, logprob: float) -> None:
        """Take a token's log-probability (nats, <= 0)."""


class MeanProbability:
    """Geometric mean of the token probabilities, exp(mean logprob): perplexity's inverse.

    Unlike their product it does not punish an answer for being long.
    """

    def __init__(self) -> None:
        self._sum_nats = 0.0
        self._tokens = 0

    @property
    def value(self) -> float | None:
        return math.exp(self._sum_nats / self._tokens) if self._tokens else None

    def add(self, logprob: float) -> None:
        self._sum_nats += _evidence(logprob)
        self._tokens += 1


class MinProbability:
    """Probability of the least probable token: one doubtful token makes a doubtful answer."""

    def __init__(self) -> None:
        self._min_nats: float | None = None

    @property
    def value(self) -> float | None:
        return None if self._min_nats is None else math.exp(self._min_nats)

    def add(self, logprob: float) -> None:
        evidence = _evidence(logprob)
        self._min_nats = evidence if self._min_nats is None else min(self._min_nats, evidence)


def _evidence(logprob: float) -> float:
    """Engines round to a hair above 0, and a NaN speaks for nothing."""
    return -math.inf if math.isnan(logprob) else min(logprob, 0.0)
