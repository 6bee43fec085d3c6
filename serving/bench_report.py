"""What `tutelage engines bench` found: figures of each way, and whether it pays. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pydantic import BaseModel, ConfigDict

from serving.break_even import BreakEven, break_even
from serving.errors import NotMeasured
from serving.timed import Timed


@dataclass(frozen=True, slots=True)
class Round:
    """One question, answered in each of the ways."""

    student: Timed
    teacher: Timed
    drafted: Timed
    verified: Timed


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Way(_Section):
    """Times in seconds, medians over the questions: of the first token, of each further one, of the
    whole. speed_up: the teacher's time for all answers, over this one's, per token. same_answer:
    share of answers that are the teacher's own, token for token.
    """

    name: str
    first_s: float
    each_s: float
    whole_s: float
    tokens_per_s: float
    speed_up: float
    same_answer: float


class BenchReport(_Section):
    """kept: the share of the student's tokens that the teacher let stand on reading them. drafted,
    accepted: tokens; break_even: of the draft, by what was seen.
    """

    questions: int
    ways: tuple[Way, ...]
    drafted: int
    accepted: int
    break_even: BreakEven
    kept: float
    best: str


def report_of(rounds: Sequence[Round], *, drafted_tokens: int) -> BenchReport:
    """Raises `NotMeasured` where the engine told nothing of its drafts."""
    told = [each.drafted.drafted for each in rounds if each.drafted.drafted is not None]
    steps = sum(each.steps for each in told)
    if not steps:
        raise NotMeasured(
            "the teacher's engine tells nothing of drafted tokens: is it vLLM 0.32 or newer?"
        )
    accepted = sum(each.accepted for each in told)
    whole = [each.teacher for each in rounds]
    ways = tuple(
        _way(name, answers, whole)
        for name, answers in (
            ("student", [each.student for each in rounds]),
            ("teacher", whole),
            ("teacher + draft", [each.drafted for each in rounds]),
            ("verification", [each.verified for each in rounds]),
        )
    )
    student, teacher, *others = ways
    best = max((teacher, *others), key=lambda way: way.speed_up)
    said = sum(len(each.student.tokens) for each in rounds)
    return BenchReport(
        questions=len(rounds),
        ways=ways,
        drafted=sum(each.tokens for each in told),
        accepted=accepted,
        break_even=break_even(
            1 + accepted / steps, drafted_tokens, student.each_s / teacher.each_s
        ),
        kept=sum(_opening(each.student, each.verified) for each in rounds) / said,
        best=best.name,
    )


def _way(name: str, answers: Sequence[Timed], whole: Sequence[Timed]) -> Way:
    pairs = list(zip(answers, whole, strict=True))
    return Way(
        name=name,
        first_s=median(each.first_s for each in answers),
        each_s=median(each.each_s for each in answers),
        whole_s=median(each.total_s for each in answers),
        tokens_per_s=_rate(answers),
        speed_up=_rate(answers) / _rate(whole),
        same_answer=sum(one.tokens == two.tokens for one, two in pairs) / len(pairs),
    )


def _rate(answers: Sequence[Timed]) -> float:
    return sum(len(each.tokens) for each in answers) / math.fsum(each.total_s for each in answers)


def _opening(one: Timed, two: Timed) -> int:
    kept = 0
    for mine, theirs in zip(one.tokens, two.tokens, strict=False):
        if mine != theirs:
            break
        kept += 1
    return kept
