"""`tutelage engines bench`: whether a draft, or reading the student, is worth it on this machine.

Four ways to one and the same answer, the teacher's greedy one: the student alone (which may say
something else), the teacher alone, the teacher with the student as its draft, and the student's
answer read by the teacher, who goes on from the first token that it would not have written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from serving.bench_report import BenchReport, Round, report_of
from serving.bench_table import bench_table
from serving.command import usable_cores
from serving.deployment import read_deployment
from serving.engine import Engine
from serving.errors import BadConfig, NotMeasured
from serving.home import Home
from serving.measured import start_together
from serving.screen import Screen
from serving.spec import EngineSpec
from serving.story import to_a_report
from serving.texts import Sample, read_texts
from serving.timed import Timed, Timer
from serving.vllm_spec import DraftModel, VllmSpec

QUESTIONS = (
    "What is the capital of France?",
    "List three fruits and say what each is good for.",
    "Explain in two sentences how rain forms.",
    "Write a short thank-you note to a colleague.",
    "What is the difference between a lake and a sea?",
    "Give me a recipe for pancakes.",
    "Translate into French: good morning, how are you?",
    "Why is the sky blue?",
)


@dataclass(frozen=True, slots=True)
class BenchWishes:
    """As on the command line; student and teacher are names of `[engines.*]`."""

    config: Path
    student: str
    teacher: str
    texts: Path | None
    requests: int
    answer_tokens: int
    drafted_tokens: int | None
    svg: Path | None


def run(wishes: BenchWishes, *, env: Mapping[str, str], console: Console, as_json: bool) -> int:
    """Exit status: 0, or 1 after an error, which is printed."""

    def draw(report: BenchReport) -> None:
        if wishes.svg is not None:
            drawn = Console(record=True, width=110, quiet=True)
            drawn.print(bench_table(report))
            drawn.save_svg(str(wishes.svg), title="tutelage engines bench")

    return to_a_report(
        console,
        lambda screen, running: bench(wishes, env=env, screen=screen, running=running),
        bench_table,
        as_json=as_json,
        beside=draw,
    )


def bench(
    wishes: BenchWishes, *, env: Mapping[str, str], screen: Screen, running: ExitStack
) -> BenchReport:
    """Raises a `ServingError`; `running` ends what was started."""
    student, teacher, drafting = specs_of(wishes)
    questions = _questions(wishes)
    home, cores = Home.of(env), max(1, usable_cores())
    screen.step("three engines, all at once, so that what else runs here meets all alike")
    engines = [
        Engine(spec, logs=home.logs, env=env, cores=cores) for spec in (student, teacher, drafting)
    ]
    start_together(engines, screen=screen, running=running)
    timers = [Timer(engine.spec.base_url, engine.spec.model) for engine in engines]
    screen.step(f"{len(questions)} questions to each, in turn")
    rounds = list(answered(timers, questions, wishes.answer_tokens, screen))
    assert isinstance(drafting.speculate, DraftModel)  # noqa: S101 - as `specs_of` made it
    return report_of(rounds, drafted_tokens=drafting.speculate.tokens)


def specs_of(wishes: BenchWishes) -> tuple[VllmSpec, VllmSpec, VllmSpec]:
    """Student, teacher, and the teacher with the student as its draft; each on a free port.

    Raises `BadConfig`.
    """
    deployment = read_deployment(wishes.config)
    known = {spec.name: spec for spec in deployment.engines}
    student, teacher = (
        _vllm(wishes, known, role, name)
        for role, name in (("--student", wishes.student), ("--teacher", wishes.teacher))
    )
    own = teacher.speculate if isinstance(teacher.speculate, DraftModel) else None
    tokens = wishes.drafted_tokens or (own.tokens if own else 4)
    weights = own.weights if own else student.weights
    draft = DraftModel(method="draft_model", weights=weights, tokens=tokens)
    free = {"port": 0, "per_request_metrics": True, "prefix_caching": False, "drain_s": 0}
    return (
        student.model_copy(update={**free, "name": "student", "speculate": None}),
        teacher.model_copy(update={**free, "name": "teacher", "speculate": None}),
        teacher.model_copy(update={**free, "name": "drafted", "speculate": draft}),
    )


def _vllm(wishes: BenchWishes, known: Mapping[str, EngineSpec], role: str, name: str) -> VllmSpec:
    spec = known.get(name)
    if isinstance(spec, VllmSpec):
        return spec
    vllm = [each.name for each in known.values() if isinstance(each, VllmSpec)]
    problem = f'is not kind = "vllm" in {wishes.config}' if spec else f"is not in {wishes.config}"
    raise BadConfig(role, f"{name!r} {problem}; such are {', '.join(vllm) or 'none'}")


def _questions(wishes: BenchWishes) -> list[list[dict[str, str]]]:
    samples = (
        read_texts(wishes.texts)
        if wishes.texts
        else [Sample(text=question) for question in QUESTIONS]
    )
    chats = [
        [{"role": m.role, "content": m.content} for m in sample.question]
        or [{"role": "user", "content": sample.text}]
        for sample in samples
    ]
    return [chats[at % len(chats)] for at in range(wishes.requests)]


def answered(
    timers: Sequence[Timer],
    questions: Sequence[list[dict[str, str]]],
    answer_tokens: int,
    screen: Screen,
) -> Iterator[Round]:
    """Each question in every way, one after another: what else the machine does meets all alike.

    `timers`: student, teacher, teacher with draft. Raises `NotMeasured`.
    """
    student, teacher, drafting = timers
    for messages in screen.counted(questions, "questions"):
        prompt = teacher.cut(messages)
        if student.cut(messages) != prompt:
            raise NotMeasured(
                "student and teacher do not cut text the same way: neither drafting nor "
                "verification is possible between them"
            )
        small = student.answer(prompt, max_tokens=answer_tokens)
        yield Round(
            student=small,
            teacher=teacher.answer(prompt, max_tokens=answer_tokens),
            drafted=drafting.answer(prompt, max_tokens=answer_tokens),
            verified=_verified(teacher, prompt, small, answer_tokens),
        )


def _verified(teacher: Timer, prompt: Sequence[int], small: Timed, answer_tokens: int) -> Timed:
    """The student's answer, what it took to read it, and the rest; `first_s` is the teacher's word:
    nothing is told before it has read.
    """
    choices, read_s = teacher.first_choices(prompt, small.tokens)
    kept = 0
    while kept < len(small.tokens) and small.tokens[kept] == choices[kept]:
        kept += 1
    told, total_s = list(small.tokens[:kept]), small.total_s + read_s
    if kept < len(small.tokens):
        rest = teacher.answer([*prompt, *told], max_tokens=answer_tokens - kept)
        told += rest.tokens
        total_s += rest.total_s
    return Timed(tuple(told), small.total_s + read_s, total_s)
