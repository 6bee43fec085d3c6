"""Two answers to one question: whether they agree, and where they part."""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from router.name import Name


class Comparator(Name):
    """What agreement means.

    exact: the same characters. normalised: the same after Unicode NFKC, case folding and joining
    of whitespace, and JSON as its values, whatever the order of keys. label: the same value of one
    JSON field, normalised; without a field, as normalised.
    """

    EXACT = "exact"
    NORMALISED = "normalised"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Comparison:
    """agreement: 1 or 0. detail: where they part, student first: `sentiment: negative|neutral`."""

    agreement: float
    detail: str


def compare(comparator: Comparator, student: str, teacher: str, *, label: str | None) -> Comparison:
    """Two whole answers. An answer without a readable label agrees with nothing."""
    if comparator is Comparator.EXACT:
        return _compare_texts(student, teacher)
    if comparator is Comparator.LABEL and label is not None:
        return _compare_labels(student, teacher, label)
    ours, theirs = _document(student), _document(teacher)
    if ours is None or theirs is None:
        return _compare_texts(_normalise(student), _normalise(teacher))
    return _compare_values(ours, theirs, "")


_FENCE = re.compile(r"\s*```[^\n]*\n(.*?)\n?```\s*", re.DOTALL)
_CONTEXT = 12
_LONGEST_SIDE = 40
_MISSING = object()

_Container = dict[str, object] | list[object]


def _compare_texts(ours: str, theirs: str) -> Comparison:
    if ours == theirs:
        return Comparison(1.0, "")
    pairs = zip_longest(ours, theirs)
    at = next(index for index, (a, b) in enumerate(pairs) if a != b)
    here = slice(at, at + _CONTEXT)
    return _parted(f"character {at}", ours[here], theirs[here])


def _compare_labels(student: str, teacher: str, label: str) -> Comparison:
    values: list[object] = []
    for side, text in (("student", student), ("teacher", teacher)):
        document = _document(text)
        if not isinstance(document, dict):
            return Comparison(0.0, f"the {side}'s answer is no JSON object")
        if label not in document:
            return Comparison(0.0, _printable(f"the {side}'s answer has no field {label}"))
        values.append(document[label])
    ours, theirs = values
    return _compare_values(ours, theirs, label)


def _compare_values(ours: object, theirs: object, path: str) -> Comparison:
    """Depth first, in the order of our keys; by a stack, since an answer may nest very deep."""
    todo = [(path, ours, theirs)]
    while todo:
        path, a, b = todo.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            keys = [*a, *(key for key in b if key not in a)]
            inner = [(_join(path, key), a.get(key, _MISSING), b.get(key, _MISSING)) for key in keys]
        elif isinstance(a, list) and isinstance(b, list):
            items = enumerate(zip_longest(a, b, fillvalue=_MISSING))
            inner = [(f"{path}[{index}]", x, y) for index, (x, y) in items]
        elif _scalar(a) == _scalar(b):
            continue
        else:
            return _parted(path, _show(a), _show(b))
        todo.extend(reversed(inner))
    return Comparison(1.0, "")


def _document(text: str) -> _Container | None:
    """The JSON object or array that the answer is, fenced or not; None if it is something else."""
    fenced = _FENCE.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _refuse(constant: str) -> Callable[[str], object]:
    raise ValueError(f"{constant} is not JSON")


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _scalar(value: object) -> tuple[str, object]:
    """Comparable: True is not 1, 1 is 1.0, and strings are normalised."""
    if isinstance(value, str):
        return "string", _normalise(value)
    if isinstance(value, bool | None):
        return "literal", value
    if isinstance(value, int | float):
        return "number", value
    return "other", id(value)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _show(value: object) -> str:
    if value is _MISSING:
        return "(missing)"
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    return value if isinstance(value, str) else json.dumps(value)


def _parted(where: str, ours: str, theirs: str) -> Comparison:
    sides = "|".join(
        side if len(side) <= _LONGEST_SIDE else f"{side[:_LONGEST_SIDE]}…"
        for side in (ours, theirs)
    )
    return Comparison(0.0, _printable(f"{where}: {sides}" if where else sides))


def _printable(detail: str) -> str:
    r"""JSON may spell half a surrogate pair (`\ud83d`), which no encoder takes."""
    return detail.encode("utf-8", "backslashreplace").decode()
