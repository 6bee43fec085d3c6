"""Two answers to one question: whether they agree, and where they part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

from router.json_fields import PLAIN, Field, JsonRule, document, fields, normalise
from router.likeness import form, length_ratio, rouge_l, same_code, token_f1, words
from router.name import Name
from router.refusal import refuses


class Comparator(Name):
    """What agreement means; a share where it says so, else 0 or 1.

    exact: the same characters. normalised: the same after Unicode NFKC, case folding and joining
    of whitespace, and JSON as its values, whatever the order of keys. label: the same value of one
    JSON field, normalised; without a field, as normalised. json: the share of fields that are the
    same, by the route's rule. tool_calls: the same calls, by name and arguments; none agrees with
    none. tokens, rouge_l: the share of words in common, as a bag and in order. code: the same
    program, whatever its layout. refusal: both refuse, or neither. format: the same kind of answer
    (JSON object, array, code, prose). length: the shorter in words over the longer.
    """

    EXACT = "exact"
    NORMALISED = "normalised"
    LABEL = "label"
    JSON = "json"
    TOOL_CALLS = "tool_calls"
    TOKENS = "tokens"
    ROUGE_L = "rouge_l"
    CODE = "code"
    REFUSAL = "refusal"
    FORMAT = "format"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Comparison:
    """agreement: in [0, 1]. detail: where they part, student first: `sentiment: negative|neutral`;
    empty where they agree wholly.
    """

    agreement: float
    detail: str


def compare(
    comparator: Comparator,
    student: str,
    teacher: str,
    *,
    label: str | None,
    json_rule: JsonRule = PLAIN,
) -> Comparison:
    """Two whole answers; with tool calls each is the JSON of its `content` and `tool_calls`.

    An answer without a readable label agrees with nothing, nor does one that should be JSON and is
    not.
    """
    if comparator is Comparator.JSON:
        return _compare_json(student, teacher, json_rule)
    if comparator is Comparator.TOOL_CALLS:
        return _all_or_nothing(_calls(student), _calls(teacher), json_rule, "tool_calls")
    if comparator is Comparator.LABEL and label is not None:
        return _compare_labels(student, teacher, label)
    return _OF_TEXTS[comparator](student, teacher)


_SAME = Comparison(1.0, "")
_CONTEXT = 12
_CONTEXT_WORDS = 3
_LONGEST_SIDE = 40


def _compare_texts(ours: str, theirs: str) -> Comparison:
    if ours == theirs:
        return _SAME
    at = _first_difference(ours, theirs)
    here = slice(at, at + _CONTEXT)
    return _parted(f"character {at}", ours[here], theirs[here])


def _compare_words(
    student: str, teacher: str, likeness: Callable[[Sequence[str], Sequence[str]], float]
) -> Comparison:
    ours, theirs = words(student), words(teacher)
    share = likeness(ours, theirs)
    if share == 1.0:
        return _SAME
    if ours == theirs:  # what differs is no word
        return _compare_texts(student, teacher)
    at = _first_difference(ours, theirs)
    here = slice(at, at + _CONTEXT_WORDS)
    return _parted(f"word {at}", " ".join(ours[here]), " ".join(theirs[here]), share)


def _compare_normalised(student: str, teacher: str) -> Comparison:
    ours, theirs = document(student), document(teacher)
    if ours is None or theirs is None:
        return _compare_texts(normalise(student), normalise(teacher))
    return _all_or_nothing(ours, theirs, PLAIN)


def _compare_code(student: str, teacher: str) -> Comparison:
    return _compare_words(student, teacher, lambda *_: float(same_code(student, teacher)))


def _compare_lengths(student: str, teacher: str) -> Comparison:
    ours, theirs = words(student), words(teacher)
    ratio = length_ratio(ours, theirs)
    return _SAME if ratio == 1.0 else _parted("words", len(ours), len(theirs), ratio)


def _compare_labels(student: str, teacher: str, label: str) -> Comparison:
    values: list[object] = []
    for side, text in (("student", student), ("teacher", teacher)):
        found = document(text)
        if not isinstance(found, dict):
            return Comparison(0.0, f"the {side}'s answer is no JSON object")
        if label not in found:
            return Comparison(0.0, _printable(f"the {side}'s answer has no field {label}"))
        values.append(found[label])
    ours, theirs = values
    return _all_or_nothing(ours, theirs, PLAIN, label)


def _compare_json(student: str, teacher: str, rule: JsonRule) -> Comparison:
    ours, theirs = document(student), document(teacher)
    for side, found in (("student", ours), ("teacher", theirs)):
        if found is None:
            return Comparison(0.0, f"the {side}'s answer is no JSON")
    every = list(fields(ours, theirs, rule))
    parted = [each for each in every if not each.agrees]
    return _at(parted[0], 1.0 - len(parted) / len(every)) if parted else _SAME


def _all_or_nothing(ours: object, theirs: object, rule: JsonRule, path: str = "") -> Comparison:
    parted = (each for each in fields(ours, theirs, rule, path) if not each.agrees)
    first = next(parted, None)
    return _SAME if first is None else _at(first, 0.0)


def _calls(answer: str) -> object:
    """As `Choice.compared` writes them."""
    found = document(answer)
    return found["tool_calls"] if isinstance(found, dict) and "tool_calls" in found else []


def _compare_kinds(kind: Callable[[str], str]) -> Callable[[str, str], Comparison]:
    def compared(student: str, teacher: str) -> Comparison:
        ours, theirs = kind(student), kind(teacher)
        return _SAME if ours == theirs else _parted("", ours, theirs)

    return compared


def _stance(answer: str) -> str:
    return "refuses" if refuses(answer) else "answers"


def _first_difference(ours: Sequence[str], theirs: Sequence[str]) -> int:
    pairs = zip_longest(ours, theirs)
    return next(index for index, (a, b) in enumerate(pairs) if a != b)


def _at(field: Field, agreement: float) -> Comparison:
    return _parted(field.path, field.ours, field.theirs, agreement)


def _parted(where: str, ours: object, theirs: object, agreement: float = 0.0) -> Comparison:
    sides = "|".join(
        side if len(side) <= _LONGEST_SIDE else f"{side[:_LONGEST_SIDE]}…"
        for side in (str(ours), str(theirs))
    )
    return Comparison(agreement, _printable(f"{where}: {sides}" if where else sides))


def _printable(detail: str) -> str:
    r"""JSON may spell half a surrogate pair (`\ud83d`), which no encoder takes."""
    return detail.encode("utf-8", "backslashreplace").decode()


_OF_TEXTS: Mapping[Comparator, Callable[[str, str], Comparison]] = {
    Comparator.EXACT: _compare_texts,
    Comparator.NORMALISED: _compare_normalised,
    Comparator.LABEL: _compare_normalised,
    Comparator.TOKENS: partial(_compare_words, likeness=token_f1),
    Comparator.ROUGE_L: partial(_compare_words, likeness=rouge_l),
    Comparator.CODE: _compare_code,
    Comparator.REFUSAL: _compare_kinds(_stance),
    Comparator.FORMAT: _compare_kinds(form),
    Comparator.LENGTH: _compare_lengths,
}
