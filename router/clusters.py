"""Divergences of one kind together: people see patterns, not rows."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from router.evidence import Record
from router.trace import COMPARING

_PLACE = re.compile(r"(?:character|word) \d+")
_NUMBERED = re.compile(r"\[\d+\]")
_LONGEST_PAIR = 40
"""Of what a model said; a longer pair is its own and makes no pattern."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """where: a field's path, `items[].price`; `text` for words or characters, wherever they part.

    share: of all that was compared, by 1 / propensity, how much differs here. pairs: what the
    student and the teacher said, commonest first, with their number; none for texts.
    examples: trace ids, the latest first.
    """

    comparator: str
    where: str
    count: int
    share: float
    pairs: tuple[tuple[str, int], ...]
    examples: tuple[str, ...]


def cluster(records: Iterable[Record]) -> list[Cluster]:
    """By comparator and by the first place where the two part; the largest share first."""
    compared = defaultdict[str, float](float)
    found = defaultdict[tuple[str, str], list[tuple[str, str, float]]](list)
    for exchange, judgements in records:
        for each in judgements:
            if each.by not in COMPARING or each.agreement is None:
                continue
            weight = 1.0 / each.propensity
            compared[each.comparator] += weight
            if each.agreement < 1.0:
                where, pair = _parts(each.detail)
                lost = weight * (1.0 - each.agreement)
                found[each.comparator, where].append((exchange.trace_id, pair, lost))
    clusters = [
        Cluster(
            comparator,
            where,
            count=len(members),
            share=sum(lost for _, _, lost in members) / compared[comparator],
            pairs=tuple(Counter(pair for _, pair, _ in members if pair).most_common(_EXAMPLES)),
            examples=tuple(trace_id for trace_id, _, _ in members[: -_EXAMPLES - 1 : -1]),
        )
        for (comparator, where), members in found.items()
    ]
    return sorted(clusters, key=lambda each: -each.share)


def _parts(detail: str) -> tuple[str, str]:
    """Where, and the pair, of what `divergence` says."""
    where, colon, pair = detail.partition(": ")
    if not colon:
        where, pair = ("form", detail) if "|" in detail else (detail, "")
    if _PLACE.fullmatch(where):
        return "text", ""
    return _NUMBERED.sub("[]", where), pair if len(pair) <= _LONGEST_PAIR else ""
