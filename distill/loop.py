"""One round of the loop, told downward: traces in, the next student out, or a reason why not.

    apart     traces, the task's checked set     -> what may be learnt from | the sealed exam
    harvest   what may be learnt from            -> rows, each with why it was taken
    curate    rows, hashes of the exam's words   -> rows that are fit, some to look at
    label     rows, the teacher                  -> rows with what they are to teach
    train     rows, the incumbent                -> the candidate
    evaluate  candidate, incumbent, the exam     -> figures and their differences
    promote   figures                            -> yes with a release, or no with reasons

Each step is a folder with a manifest (`distill.step`). Between apart and evaluate the exam is shut
away. A closed gate ends the round: nothing after it runs, and nothing is promoted.
"""

import logging
import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pydantic import BaseModel

from distill.config import Settings
from distill.craft import Craft
from distill.curate import curate
from distill.evaluation import evaluate
from distill.export_file import read_export, write_export
from distill.funnel import Funnel
from distill.gates import Gate, Refused
from distill.handover import DECISION, promote, read_decision
from distill.harvest import harvest
from distill.holdout import (
    is_set_apart,
    load_ngrams,
    ngrams_of,
    overlaps,
    save_ngrams,
    sealed,
)
from distill.label import Labelling, label
from distill.rows import Row, read_rows, write_rows
from distill.step import Step, run_step
from distill.task import ExamText, Task

log = logging.getLogger(__name__)

STEPS = ("apart", "harvest", "curate", "label", "train", "evaluate", "promote")
SEALED = "sealed"
OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Round:
    """export: what `tutelage traces export` wrote of the route. run: the round's folder.

    cache: answers of models and teachers, which outlive a round. releases: the folder of this
    machine's. api_key: the teacher's.
    """

    route: str
    export: Path
    run: Path
    cache: Path
    releases: Path
    task: Task
    craft: Craft
    settings: Settings
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    api_key: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """How a round ended. step: the last that ran; gate: None unless one closed. release: its id."""

    promoted: bool
    step: str
    gate: Gate | None
    reasons: tuple[str, ...]
    release: str | None = None


def run_round(round_: Round, *, until: str = STEPS[-1]) -> Outcome:
    """Every step up to `until`, each only if something that shapes it has changed."""
    steps = _steps(round_)
    round_.run.mkdir(parents=True, exist_ok=True)
    round_.cache.mkdir(parents=True, exist_ok=True)
    (round_.run / OUTCOME).unlink(missing_ok=True)
    outcome = Outcome(promoted=False, step=until, gate=None, reasons=())
    for name in STEPS[: STEPS.index(until) + 1]:
        exam_is_open = name in {"apart", "evaluate"}
        seal = nullcontext() if exam_is_open else sealed(round_.run / "apart" / SEALED)
        try:
            with seal:
                folder, made = run_step(steps[name](), round_.run, clock=round_.clock)
        except Refused as refused:
            outcome = Outcome(False, name, refused.gate, (refused.why,))  # noqa: FBT003
            log.warning("%s: refused, %s", name, refused)
            break
        if made:
            log.info("%s: done, %s", name, folder)
        if name == "promote":
            decided = read_decision(folder / DECISION)
            outcome = Outcome(
                decided.promoted, name, None, decided.reasons, release=decided.release
            )
    (round_.run / OUTCOME).write_bytes(msgspec.json.encode(outcome))
    return outcome


def read_outcome(run: Path) -> Outcome | None:
    """None where no round has ended."""
    try:
        return msgspec.json.decode((run / OUTCOME).read_bytes(), type=Outcome)
    except (OSError, msgspec.DecodeError):
        return None


def _steps(of: Round) -> dict[str, Callable[[], Step]]:
    """Made one after the other: the inputs of each are outputs of those before it."""
    run, settings = of.run, of.settings
    apart, exam = run / "apart", run / "apart" / SEALED
    curated, labelled, trained = run / "curate", run / "label", run / "train"
    task = of.task.name
    return {
        "apart": lambda: Step(
            "apart",
            {"export": of.export},
            _told(task, of.route, settings.holdout),
            lambda out: set_apart(of, out),
        ),
        "harvest": lambda: Step(
            "harvest",
            {"open": apart / "open.jsonl"},
            _told(task, settings.harvest),
            lambda out: _harvest(of, apart / "open.jsonl", out),
        ),
        "curate": lambda: Step(
            "curate",
            {"rows": run / "harvest" / "rows.jsonl", "ngrams": apart / "ngrams.json"},
            _told(task, settings.curate),
            lambda out: _curate(of, out),
        ),
        "label": lambda: Step(
            "label",
            {
                "train": curated / "train.jsonl",
                "valid": curated / "valid.jsonl",
                "ngrams": apart / "ngrams.json",
            },
            _told(task, settings.label, settings.teacher),
            lambda out: _label(of, out),
        ),
        "train": lambda: Step(
            "train",
            {
                "train": labelled / "train.jsonl",
                "valid": labelled / "valid.jsonl",
                "incumbent": of.craft.incumbent,
            },
            _told(task, settings.train),
            lambda out: of.craft.train(
                read_rows(labelled / "train.jsonl"),
                read_rows(labelled / "valid.jsonl"),
                settings.train,
                out,
                clock=of.clock,
            ),
        ),
        "evaluate": lambda: Step(
            "evaluate",
            {
                "candidate": trained / "student.gguf",
                "incumbent": of.craft.incumbent,
                "exam": exam / "exam.jsonl",
                "choosing": exam / "choosing.jsonl",
            },
            _told(task, settings.exam),
            lambda out: evaluate(
                of.craft,
                trained / "student.gguf",
                _texts(exam / "exam.jsonl"),
                _texts(exam / "choosing.jsonl"),
                settings.exam,
                cache=of.cache,
                out=out,
            ),
        ),
        "promote": lambda: Step(
            "promote",
            {
                "figures": run / "evaluate" / "figures.json",
                "candidate": trained / "student.gguf",
            },
            _told(task, settings.promote),
            lambda out: promote(of.task, run, settings.promote, of.releases, out),
        ),
    }


def set_apart(of: Round, out: Path) -> None:
    """The exam: a share of the route's texts, and the task's checked set. What is left is open."""
    share = of.settings.holdout.traces
    left = []
    exam: dict[str, ExamText] = {}
    for exchange, judgements in read_export(of.export):
        text = of.task.text_of(bytes(exchange.request)) if exchange.request else None
        if exchange.route != of.route:
            continue
        if text is None or not is_set_apart(text, share):
            left.append((exchange, judgements))
        else:
            exam.setdefault(text, ExamText(exchange.trace_id, text))
    gold = _some(of.task.gold(), of.settings.holdout.gold)
    choosing = _some(of.task.choosing(), of.settings.holdout.choosing)
    held_out = (*exam.values(), *of.task.gold(), *of.task.choosing())
    (out / SEALED).mkdir(exist_ok=True)
    _save_texts((*exam.values(), *gold), out / SEALED / "exam.jsonl")
    _save_texts(choosing, out / SEALED / "choosing.jsonl")
    save_ngrams(ngrams_of(each.text for each in held_out), out / "ngrams.json")
    write_export(left, out / "open.jsonl")


def _harvest(of: Round, export: Path, out: Path) -> None:
    funnel = Funnel()
    rows = harvest(read_export(export), of.task, of.settings.harvest, funnel)
    if not rows:
        raise Refused(Gate.NO_ROWS, f"no trace of {of.route} shows anything to learn")
    write_rows(rows, out / "rows.jsonl")
    funnel.save(out / "funnel.json")


def _curate(of: Round, out: Path) -> None:
    funnel = Funnel()
    rows = read_rows(of.run / "harvest" / "rows.jsonl")
    held_out = load_ngrams(of.run / "apart" / "ngrams.json")
    fit = curate(rows, held_out, of.task, of.settings.curate, funnel)
    write_rows(fit.train, out / "train.jsonl")
    write_rows(fit.valid, out / "valid.jsonl")
    funnel.save(out / "funnel.json")


def _label(of: Round, out: Path) -> None:
    """Looks again for words of the exam: what is trained on is what leaves here."""
    funnel, held_out = Funnel(), load_ngrams(of.run / "apart" / "ngrams.json")
    by = Labelling(
        task=of.task,
        rules=of.settings.label,
        teacher=of.settings.teacher,
        cache=of.cache / "teacher.jsonl",
        sleep=of.sleep,
        key=of.api_key,
    )
    both = {part: read_rows(of.run / "curate" / f"{part}.jsonl") for part in ("train", "valid")}
    must_not_leak([row for rows in both.values() for row in rows], held_out)
    labelled = label([row for rows in both.values() for row in rows], by, funnel)
    valid = {row.trace_id for row in both["valid"]}
    write_rows((row for row in labelled if row.trace_id not in valid), out / "train.jsonl")
    write_rows((row for row in labelled if row.trace_id in valid), out / "valid.jsonl")
    funnel.save(out / "funnel.json")


def must_not_leak(rows: Sequence[Row], held_out: frozenset[int]) -> None:
    """Raises Refused."""
    leaked = [row.trace_id for row in rows if overlaps(row.text, held_out)]
    if leaked:
        raise Refused(Gate.HOLDOUT_LEAK, f"{len(leaked)} rows have words of the exam: {leaked[:3]}")


def _told(*shapes: str | BaseModel | None) -> str:
    return "\n".join(
        each.model_dump_json() if isinstance(each, BaseModel) else str(each) for each in shapes
    )


def _some(texts: Sequence[ExamText], count: int) -> list[ExamText]:
    """All where count is 0; the same ones in every round."""
    chosen = list(texts)
    random.Random(1).shuffle(chosen)  # noqa: S311 - not a secret
    return chosen[:count] if count else chosen


def _save_texts(texts: Sequence[ExamText], path: Path) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in texts))


def _texts(path: Path) -> list[ExamText]:
    return [msgspec.json.decode(line, type=ExamText) for line in path.read_bytes().splitlines()]
