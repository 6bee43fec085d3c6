"""What of a harvest is fit to learn from: rules in order, each counting what it removes."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from distill.funnel import Funnel
from distill.gates import Gate, Refused
from distill.holdout import normalised, overlaps
from distill.near_duplicates import first_of_each
from distill.rows import Row, Why
from distill.task import Task
from router.repetition import find_loop
from serving.checked import Checked

_DUPLICATES = ("same text", "nearly the same text")
_ORDER = {why: place for place, why in enumerate(Why)}


class CurationRules(Checked):
    """shortest, longest: characters of a text. similarity: Jaccard's, from which on two texts are
    one. most_of_a_label: the largest share that one label may have. valid_share: of each label,
    what is kept to look at while training. The last three are shares at which a gate closes.
    """

    shortest: int = 3
    longest: int = 600
    similarity: float = 0.8
    most_of_a_label: float = 0.7
    valid_share: float = 0.1
    most_garbage: float = 0.1
    most_duplicates: float = 0.5
    most_leaked: float = 0.2


@dataclass(frozen=True, slots=True)
class Curated:
    """Rows to train on, and rows to look at meanwhile."""

    train: list[Row]
    valid: list[Row]


def curate(
    harvested: Sequence[Row],
    held_out: frozenset[int],
    task: Task,
    rules: CurationRules,
    funnel: Funnel,
) -> Curated:
    """Raises Refused where so much had to go that something is wrong with the traces."""
    rows = [msgspec.structs.replace(row, text=normalised(row.text)) for row in harvested]
    rows = sorted(rows, key=lambda row: (_ORDER[row.why], row.ts, row.trace_id))
    rows = funnel.keep("text too short or long", rows, lambda row: _in_band(row, task, rules))
    rows = funnel.keep("answer in no valid form", rows, lambda row: _is_answer(row, task))
    rows = funnel.keep(
        "answer that repeats itself", rows, lambda row: not find_loop(row.said or "")
    )
    rows = funnel.narrow("contradictory answers", rows, _without_contradictions(rows, task))
    rows = funnel.narrow(
        "same text", rows, {row.text.casefold(): row for row in rows[::-1]}.values()
    )
    rows.sort(key=lambda row: (_ORDER[row.why], row.ts, row.trace_id))
    distinct = first_of_each([row.text for row in rows], similarity=rules.similarity)
    rows = funnel.narrow("nearly the same text", rows, [rows[at] for at in distinct])
    rows = funnel.keep(
        "words of a held-out text", rows, lambda row: not overlaps(row.text, held_out)
    )
    rows = funnel.narrow("label beyond its share", rows, _balanced(rows, task, rules))
    _must_be_sane(len(harvested), rows, rules, funnel)
    return _split(rows, task, rules.valid_share)


def _must_be_sane(
    harvested: int, rows: Sequence[Row], rules: CurationRules, funnel: Funnel
) -> None:
    for gate, most, names, why in (
        (
            Gate.GARBAGE_TEACHER,
            rules.most_garbage,
            ("answer in no valid form", "answer that repeats itself", "contradictory answers"),
            "of the answers to learn from are no answers, or contradict each other",
        ),
        (Gate.DUPLICATE_FLOOD, rules.most_duplicates, _DUPLICATES, "of the texts are copies"),
        (
            Gate.HOLDOUT_LEAK,
            rules.most_leaked,
            ("words of a held-out text",),
            "of the texts are in the exam: it has been sent through the gateway",
        ),
    ):
        if (share := funnel.share(*names)) > most:
            raise Refused(gate, f"{share:.0%} {why} (at most {most:.0%}); look at those traces")
    if not rows:
        raise Refused(Gate.NO_ROWS, f"of {harvested} harvested rows none is fit; let more come")


def _in_band(row: Row, task: Task, rules: CurationRules) -> bool:
    return rules.shortest <= len(row.text) <= rules.longest and task.fits(row.text)


def _is_answer(row: Row, task: Task) -> bool:
    """Rows that nobody has labelled yet pass: the teacher is asked about them later."""
    return row.said is None or task.label_of(row.said) is not None


def _without_contradictions(rows: Sequence[Row], task: Task) -> list[Row]:
    """One text with several labels goes, all of it, unless people said one of them."""
    said: defaultdict[str, set[str | None]] = defaultdict(set)
    corrected: defaultdict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        if row.said is not None:
            said[row.text.casefold()].add(task.label_of(row.said))
        if row.correction is not None:
            corrected[row.text.casefold()].add(task.label_of(row.correction))

    def clear(row: Row) -> bool:
        text = row.text.casefold()
        if corrected[text]:
            return len(corrected[text]) == 1 and row.correction is not None
        return len(said[text]) <= 1

    return [row for row in rows if clear(row)]


def _balanced(rows: Sequence[Row], task: Task, rules: CurationRules) -> list[Row]:
    """Of a label with more than its share the last in the order of weight go."""
    counts = Counter(_label(row, task) for row in rows)
    others = {label: len(rows) - count for label, count in counts.items()}
    share = rules.most_of_a_label
    most = {
        label: round(share / (1.0 - share) * rest) if rest else counts[label]
        for label, rest in others.items()
    }
    seen: Counter[str] = Counter()
    kept = []
    for row in rows:
        label = _label(row, task)
        seen[label] += 1
        if seen[label] <= most[label]:
            kept.append(row)
    return kept


def _split(rows: Sequence[Row], task: Task, valid_share: float) -> Curated:
    """Stratified by label; which row goes where is a hash of its text."""
    of_label: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: hashlib.sha256(row.text.encode()).digest()):
        of_label[_label(row, task)].append(row)
    train, valid = [], []
    for label in sorted(of_label):
        mine = of_label[label]
        cut = int(valid_share * len(mine))
        valid += mine[:cut]
        train += mine[cut:]
    return Curated(train, valid)


def _label(row: Row, task: Task) -> str:
    return (task.label_of(row.said) if row.said is not None else None) or ""
