"""The four ways to an answer, on scripted engines, and what is said of them."""

import asyncio
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from serving.bench import BenchWishes, answered, specs_of
from serving.bench_report import BenchReport, Round, report_of
from serving.bench_table import bench_table
from serving.cli import engines
from serving.errors import BadConfig, NotMeasured
from serving.say import Drafted as Told
from serving.screen import Screen
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Say
from serving.timed import Drafted, Timed, Timer
from serving.vllm_spec import DraftModel
from serving.written import token_id

pytestmark = pytest.mark.anyio

QUESTION = [{"role": "user", "content": "Well?"}]
RIGHT = ("All", " is", " well", " here")
CONFIG = """
[upstreams.s]
base_url = "http://127.0.0.1:8101/v1"
[upstreams.t]
base_url = "http://127.0.0.1:8102/v1"
[upstreams.g]
base_url = "http://127.0.0.1:8103/v1"
[engines.student]
kind = "vllm"
weights = "./student"
model = "s"
port = 8101
[engines.teacher]
kind = "vllm"
weights = "./teacher"
model = "t"
port = 8102
[engines.gguf]
gguf = "a.gguf"
model = "g"
port = 8103
"""


async def rounds_of(student: Say, teacher: Say, drafting: Say) -> list[Round]:
    """One question to each of three engines; clocks tick once a look."""
    async with AsyncExitStack() as engines:
        urls = []
        for say in (student, teacher, drafting):
            engine = await engines.enter_async_context(ScriptedEngine(model="m", default=say))
            urls.append(engine.base_url)
        return await asyncio.to_thread(_ask, urls)


def ticking() -> Callable[[], float]:
    """A clock that goes on by a second with each look at it."""
    ticks = count()
    return lambda: float(next(ticks))


def _ask(urls: Sequence[str]) -> list[Round]:
    screen = Screen(Console(file=StringIO()), clock=lambda: 0.0)
    timers = [Timer(url, "m", clock=ticking()) for url in urls]
    return list(answered(timers, [QUESTION], 5, screen))


async def test_each_way_is_asked_and_verification_goes_on_from_the_first_other_word() -> None:
    drafted = Say(*RIGHT, drafted=Told(steps=2, tokens=8, accepted=3))
    (found,) = await rounds_of(Say("All", " is", " lost"), Say(*RIGHT), drafted)

    right = tuple(map(token_id, (*RIGHT, "<|im_end|>")))
    assert found.student.tokens[:2] == right[:2]
    assert found.teacher.tokens == found.drafted.tokens == right
    assert found.verified.tokens == right
    assert found.verified.total_s > found.verified.first_s > found.student.total_s
    assert found.drafted.drafted == Drafted(steps=2, tokens=8, accepted=3)
    assert found.teacher.drafted is None


async def test_an_answer_that_stands_to_its_end_is_not_gone_on_from() -> None:
    (found,) = await rounds_of(Say(*RIGHT), Say(*RIGHT), Say(*RIGHT))

    assert found.verified.tokens == found.teacher.tokens
    assert found.verified.first_s == found.verified.total_s


def took(each_s: float, *tokens: int, drafted: Drafted | None = None) -> Timed:
    return Timed(tokens, each_s, each_s * len(tokens), drafted)


def report(*, draft_s: float, read_s: float) -> BenchReport:
    told = Drafted(steps=2, tokens=8, accepted=6)
    one = Round(
        student=took(0.1, 1, 2, 3, 9),
        teacher=took(1.0, 1, 2, 3, 4),
        drafted=took(draft_s, 1, 2, 3, 4, drafted=told),
        verified=took(read_s, 1, 2, 3, 4),
    )
    return report_of([one, one], drafted_tokens=4)


def test_figures_are_beside_the_teachers() -> None:
    found = report(draft_s=0.5, read_s=0.8)

    student, teacher, drafted, verified = found.ways
    assert [way.speed_up for way in found.ways] == pytest.approx([10.0, 1.0, 2.0, 1.25])
    assert (student.same_answer, drafted.same_answer) == (0.0, 1.0)
    assert teacher.each_s == pytest.approx(1.0)
    assert verified.name == "verification"
    assert (found.drafted, found.accepted, found.kept) == (16, 12, 0.75)
    assert found.break_even.cost == pytest.approx(0.1)
    assert found.best == "teacher + draft"


@pytest.mark.parametrize(
    ("draft_s", "read_s", "said"),
    [
        (0.5, 0.8, "here the draft pays"),
        (0.9, 0.8, "here reading the student's answers pays"),
        (1.1, 1.2, "here neither pays"),
    ],
)
def test_the_table_says_what_pays(draft_s: float, read_s: float, said: str) -> None:
    out = StringIO()
    Console(file=out, width=120).print(bench_table(report(draft_s=draft_s, read_s=read_s)))

    assert said in out.getvalue()


def test_an_engine_that_is_silent_about_its_drafts_is_not_measured() -> None:
    one = took(1.0, 1)
    with pytest.raises(NotMeasured, match="tells nothing of drafted tokens"):
        report_of([Round(one, one, one, one)], drafted_tokens=4)


def wishes(folder: Path, **changed: object) -> BenchWishes:
    config = folder / "engines.toml"
    config.write_text(CONFIG, encoding="utf-8")
    given: dict[str, object] = {
        "config": config,
        "student": "student",
        "teacher": "teacher",
        "texts": None,
        "requests": 4,
        "answer_tokens": 8,
        "drafted_tokens": None,
        "svg": None,
    }
    return BenchWishes(**{**given, **changed})  # type: ignore[arg-type]


def test_the_student_becomes_the_draft_of_a_teacher_that_has_none(tmp_path: Path) -> None:
    student, teacher, drafting = specs_of(wishes(tmp_path, drafted_tokens=3))

    assert [spec.port for spec in (student, teacher, drafting)] == [0, 0, 0]
    assert teacher.speculate is None
    assert drafting.speculate == DraftModel(
        method="draft_model", weights=str(tmp_path / "student"), tokens=3
    )
    assert drafting.per_request_metrics


@pytest.mark.parametrize(
    ("name", "said"), [("nobody", "is not in"), ("gguf", 'is not kind = "vllm"')]
)
def test_an_engine_that_cannot_be_benched_is_named(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(BadConfig, match=f"--student: '{name}' {said}.*student, teacher"):
        specs_of(wishes(tmp_path, student=name))


def test_the_command_line_reaches_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    runner = engines(parser)
    config = str(wishes(tmp_path).config)
    words = ["bench", "--config", config, "--student", "gguf", "--json"]

    assert runner(parser.parse_args(words)) == 1
    assert "--student: 'gguf' is not" in capsys.readouterr().err
