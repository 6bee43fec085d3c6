"""Loops: text that says one thing again and again until its end.

A student that has lost the thread repeats itself and does not stop. What is looked for is an exact
period at the very end of the text, so lists, tables, code and refrains, whose lines differ or
which go on to something else, are no loops.
"""

import re
from dataclasses import dataclass

_WINDOW = 4096
"""Characters at the end that are looked at: the cost of a look is bounded."""
_TAIL = 24
"""A loop repeats its own last characters: where they do not recur there is none."""
_WORDS = 100
_COPIES = 5
_PASSAGE = 600
_PASSAGE_COPIES = 3
_WITHOUT_LETTERS = 4
_BY_ITSELF = 4
_NUMBERING = re.compile(r"^[ \t]{0,8}\d{1,4}[.)] ", re.MULTILINE)
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Loop:
    """unit: what is repeated. length: characters of the end that are nothing else."""

    unit: str
    length: int


def find_loop(text: str, *, ended_itself: bool = False) -> Loop | None:
    """The loop that the text ends in, numbering aside. Linear time.

    A loop fills at least 100 characters with 5 copies of its unit, or 600 with 3. Four times as
    much is asked of a unit without a letter (rules, zeros, blank lines), and again four times as
    much of a text that ended by itself: one that is lost is cut off by a limit.
    """
    if len(text) < _WORDS:
        return None
    end = text[-_WINDOW:]
    factor = _BY_ITSELF if ended_itself else 1
    for seen in dict.fromkeys((end, _NUMBERING.sub("", end), end.rstrip())):
        if (loop := _find(seen, factor)) is not None:
            return loop
    return None


def _find(end: str, factor: int) -> Loop | None:
    """Tries each distance at which the tail recurs, nearest first: a period is one of them."""
    size, tail = len(end), end[-_TAIL:]
    at = end.rfind(tail, 0, size - 1)
    while at >= 0:
        period = size - _TAIL - at
        length = _needed(period, factor)
        if length > size:
            return None
        unit = end[-period:]
        if end[-length:-period] == end[period - length :]:
            if _LETTER.search(unit):
                return Loop(unit, length)
            length *= _WITHOUT_LETTERS
            if length <= size and end[-length:-period] == end[period - length :]:
                return Loop(unit, length)
        at = end.rfind(tail, 0, at + _TAIL - 1)
    return None


def _needed(period: int, factor: int) -> int:
    """Characters that a loop of this period fills at least."""
    words = max(_WORDS, _COPIES * period)
    passage = max(_PASSAGE, _PASSAGE_COPIES * period)
    return factor * min(words, passage)
