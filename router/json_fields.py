"""Two JSON answers, field by field: which agree, and where they part."""

import json
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

Container = dict[str, object] | list[object]

_FENCE = re.compile(r"\s*```[^\n]*\n(.*?)\n?```\s*", re.DOTALL)
_INDEX = re.compile(r"\[\d+\]")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class JsonRule:
    """When two values are the same.

    tolerance: of numbers, how far apart they may be, relative to the larger.
    unordered: lists whose order does not matter, by their path: `tags`, `order.items`, and ""
    for an answer that is a list.
    """

    tolerance: float = 0.0
    unordered: frozenset[str] = frozenset()


PLAIN = JsonRule()


@dataclass(frozen=True, slots=True)
class Field:
    """One leaf. path: `items[2].price`, "" for the whole answer; ours, theirs: as shown."""

    path: str
    ours: str
    theirs: str
    agrees: bool


def fields(ours: object, theirs: object, rule: JsonRule, path: str = "") -> Iterator[Field]:
    """Depth first, in the order of our keys; by a stack, since an answer may nest very deep.

    A field that one side lacks is one field, however much there is in it. Of an unordered list
    equal items go together, wherever they stand, and the others in their order.
    """
    todo = [(path, ours, theirs)]
    while todo:
        path, a, b = todo.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            keys = [*a, *(key for key in b if key not in a)]
            inner = [(_join(path, key), a.get(key, _MISSING), b.get(key, _MISSING)) for key in keys]
            todo.extend(reversed(inner))
        elif isinstance(a, list) and isinstance(b, list):
            if _INDEX.sub("", path) in rule.unordered:
                a, b = _paired(a, b)
            items = enumerate(zip_longest(a, b, fillvalue=_MISSING))
            todo.extend(reversed([(f"{path}[{index}]", x, y) for index, (x, y) in items]))
        else:
            yield Field(path, _show(a), _show(b), _same(a, b, rule.tolerance))


def document(text: str) -> Container | None:
    """The JSON object or array that the answer is, fenced or not; None if it is something else."""
    fenced = _FENCE.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def normalise(text: str) -> str:
    """NFKC, case folded, whitespace joined."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _same(a: object, b: object, tolerance: float) -> bool:
    numbers = [x for x in (a, b) if isinstance(x, int | float) and not isinstance(x, bool)]
    if tolerance and len(numbers) == 2:  # noqa: PLR2004 - both
        try:
            return math.isclose(*numbers, rel_tol=tolerance)
        except OverflowError:  # whole numbers past any float
            return numbers[0] == numbers[1]
    return _scalar(a) == _scalar(b)


def _scalar(value: object) -> tuple[str, object]:
    """Comparable: True is not 1, 1 is 1.0, and strings are normalised."""
    if isinstance(value, str):
        return "string", normalise(value)
    if isinstance(value, bool | None):
        return "literal", value
    if isinstance(value, int | float):
        return "number", value
    return "other", id(value)


def _paired(ours: list[object], theirs: list[object]) -> tuple[list[object], list[object]]:
    """The same items, equals at the same places."""
    waiting = defaultdict[str, list[object]](list)
    for item in reversed(theirs):
        waiting[_spelt(item)].append(item)
    found: list[tuple[object, object]] = []
    alone = []
    for item in ours:
        if same := waiting[_spelt(item)]:
            found.append((item, same.pop()))
        else:
            alone.append(item)
    left = {id(item) for items in waiting.values() for item in items}
    rest = [item for item in theirs if id(item) in left]
    return [*(a for a, _ in found), *alone], [*(b for _, b in found), *rest]


def _spelt(value: object) -> str:
    """The same for equal values. What nests too deep is only equal to its like."""
    try:
        return normalise(json.dumps(value, sort_keys=True))
    except RecursionError:
        return ""


def _refuse(constant: str) -> Callable[[str], object]:
    raise ValueError(f"{constant} is not JSON")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _show(value: object) -> str:
    if value is _MISSING:
        return "(missing)"
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    return value if isinstance(value, str) else json.dumps(value)
