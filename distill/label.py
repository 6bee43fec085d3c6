"""What each row is to teach: a person's correction, else the teacher's answer, soft if it can be.

The teacher's answers are in the traces. Where it can still be asked it is asked again, greedily and
with probabilities: that labels what only the student has answered, gives soft targets, and shows
whether the teacher repeats itself, which one that wrote garbage for an hour does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from distill.asking import Asked, Said, Teacher, TeacherUnavailable, ask_teacher
from distill.funnel import Funnel
from distill.gates import Gate, Refused
from distill.rows import LabelledBy, Row
from distill.task import Task
from serving.checked import Checked

_FEW = 20
"""Answers of which a share says nothing yet."""


class LabelRules(Checked):
    """least_sure: the teacher's own probability of its label, below which it teaches nothing.

    least_repeated: the share of labels in the traces that the teacher must say again.
    """

    least_sure: float = 0.4
    least_repeated: float = 0.85


@dataclass(frozen=True, slots=True)
class Labelling:
    """teacher: None if there is nobody to ask; key: its API's. cache: of its answers."""

    task: Task
    rules: LabelRules
    teacher: Teacher | None
    cache: Path
    sleep: Callable[[float], None]
    key: str | None = None


def label(rows: Sequence[Row], by: Labelling, funnel: Funnel) -> list[Row]:
    """Raises Refused."""
    said: Mapping[str, Said] = {}
    if by.teacher is not None:
        said = _ask(rows, by, by.teacher).said
        _must_repeat_itself(rows, said, by)
    labelled = [_labelled(row, said.get(row.text), by.task) for row in rows]
    labelled = funnel.keep("nobody has answered it", labelled, lambda row: row.answer is not None)
    labelled = funnel.keep(
        "the teacher itself is not sure",
        labelled,
        lambda row: (
            row.by is LabelledBy.HUMAN or not row.odds or max(row.odds[0]) >= by.rules.least_sure
        ),
    )
    if rows and not labelled:
        raise Refused(Gate.UNLABELLED, f"none of {len(rows)} rows has an answer to learn")
    return labelled


def _ask(rows: Sequence[Row], by: Labelling, teacher: Teacher) -> Asked:
    try:
        texts = [row.text for row in rows]
        return ask_teacher(texts, by.task, teacher, by.cache, key=by.key, sleep=by.sleep)
    except TeacherUnavailable as error:
        raise Refused(Gate.UNLABELLED, f"the teacher cannot be asked: {error}") from error


def _must_repeat_itself(rows: Sequence[Row], said: Mapping[str, Said], by: Labelling) -> None:
    pairs = [
        (by.task.label_of(row.teacher), by.task.label_of(said[row.text].text))
        for row in rows
        if row.teacher is not None and row.text in said
    ]
    same = sum(one is not None and one == other for one, other in pairs)
    if len(pairs) >= _FEW and same < by.rules.least_repeated * len(pairs):
        raise Refused(
            Gate.GARBAGE_TEACHER,
            f"of {len(pairs)} labels in the traces the teacher gives {same / len(pairs):.0%} again "
            f"(at least {by.rules.least_repeated:.0%}): it was another one, or out of order",
        )


def _labelled(row: Row, said: Said | None, task: Task) -> Row:
    """The teacher's odds stay away from what people corrected: they are of another answer."""
    if row.correction is not None and task.label_of(row.correction) is not None:
        return replace(row, answer=row.correction, by=LabelledBy.HUMAN)
    if said is not None and task.label_of(said.text) is not None:
        return replace(
            row, answer=said.text, by=LabelledBy.TEACHER, odds=task.odds_of(said.tokens) or ()
        )
    if row.teacher is not None and task.label_of(row.teacher) is not None:
        return replace(row, answer=row.teacher, by=LabelledBy.TEACHER)
    return row
