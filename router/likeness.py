"""How like two texts are, in [0, 1], where being the same is too much to ask."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from router.json_fields import document, normalise

_WORD = re.compile(r"\w+|[^\w\s]")
_CODE = re.compile(r"```[^\n]*\n(.*?)```", re.DOTALL)
_LONGEST_PROGRAM = 20_000
"""Characters beyond which code is compared by its tokens: parsing would hold up the gateway."""


def words(text: str) -> list[str]:
    """Words and signs, after NFKC and case folding."""
    return _WORD.findall(normalise(text))


def token_f1(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """2 x shared / all, of the words as a bag (Rajpurkar et al. 2016, articles kept)."""
    if not ours and not theirs:
        return 1.0
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2.0 * shared / (len(ours) + len(theirs))


def rouge_l(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """2 x longest common subsequence / all: order counts (Lin 2004, F-measure with beta 1)."""
    if not ours and not theirs:
        return 1.0
    return 2.0 * _longest_common(ours, theirs) / (len(ours) + len(theirs))


def length_ratio(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Words of the shorter over those of the longer."""
    longer = max(len(ours), len(theirs))
    return min(len(ours), len(theirs)) / longer if longer else 1.0


def same_code(ours: str, theirs: str) -> bool:
    """The same programs, whatever their layout. Fenced blocks where there are any, else all.

    What both sides parse as Python is compared by its syntax tree, so that comments and quotes do
    not count either; everything else by its tokens, without whitespace.
    """
    a, b = _program(ours), _program(theirs)
    trees = _tree(a), _tree(b)
    if trees[0] is not None and trees[1] is not None:
        return trees[0] == trees[1]
    return _WORD.findall(a) == _WORD.findall(b)


def form(text: str) -> str:
    """What kind of answer it is: `empty`, `json object`, `json array`, `code` or `prose`."""
    if not text.strip():
        return "empty"
    found = document(text)
    if found is not None:
        return "json object" if isinstance(found, dict) else "json array"
    return "code" if _CODE.search(text) else "prose"


def _longest_common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Bit-parallel (Hyyro 2004): one addition of long numbers a word, not a table."""
    places = defaultdict[str, int](int)
    for at, word in enumerate(ours):
        places[word] |= 1 << at
    every = (1 << len(ours)) - 1
    row = every
    for word in theirs:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & every
    return len(ours) - row.bit_count()


def _program(text: str) -> str:
    blocks = _CODE.findall(text)
    return "\n".join(blocks) if blocks else text


def _tree(program: str) -> str | None:
    if len(program) > _LONGEST_PROGRAM:
        return None
    try:
        return ast.dump(ast.parse(program))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
