"""A whole round: what it leaves, what it does again, and the accidents that stop it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

pytest.importorskip("datasketch")

from distill.config import HoldoutRules, Settings
from distill.evaluation import read_figures
from distill.gates import Gate, Refused
from distill.handover import read_decision
from distill.holdout import is_set_apart, load_ngrams
from distill.loop import STEPS, Round, must_not_leak, read_outcome, run_round
from distill.report import write_report
from distill.rows import read_rows
from distill.step import read_manifest
from router.evidence import Record
from serving.release import Release
from serving.releases import Releases
from tests.distill.loop.made import Clockwork, a_round, answer, exchange, text

TRAFFIC: list[Record] = [(exchange(at), []) for at in range(200)]


@pytest.fixture
def craft(tmp_path: Path) -> Clockwork:
    return Clockwork(tmp_path / "incumbent.delta")


def nothing_is_promoted(of: Round, gate: Gate, step: str) -> None:
    outcome = run_round(of)

    assert (outcome.gate, outcome.step, outcome.promoted) == (gate, step, False)
    assert read_outcome(of.run) == outcome
    assert not (of.run / step).exists()
    assert not (of.run / "promote").exists()
    assert not of.releases.exists()
    assert f"gate <code>{gate}</code>" in write_report("mood", of.run).read_text("utf-8")


def test_a_better_student_is_promoted_and_becomes_a_release_with_its_past(
    tmp_path: Path, craft: Clockwork
) -> None:
    of = a_round(tmp_path, TRAFFIC, craft)
    outcome = run_round(of)

    assert (outcome.promoted, outcome.gate) == (True, None)
    assert read_decision(of.run / "promote" / "decision.json").promoted
    (release,) = Releases(of.releases).all()
    assert isinstance(release, Release)
    assert release.id == outcome.release
    assert release.weights.read_bytes() == b"candidate"
    gate = release.manifest.gate
    assert gate is not None
    assert gate.threshold == read_figures(of.run / "evaluate" / "figures.json").threshold
    told = json.dumps(dict(release.manifest.provenance))
    made = read_manifest(of.run / "label")
    assert made is not None
    assert made.outputs["train.jsonl"] in told


def test_a_student_that_is_no_better_is_not_promoted(tmp_path: Path) -> None:
    of = a_round(tmp_path, TRAFFIC, Clockwork(tmp_path / "incumbent.delta", knows=1))
    outcome = run_round(of)

    assert (outcome.promoted, outcome.gate, outcome.step) == (False, None, "promote")
    assert outcome.reasons
    assert list(Releases(of.releases).all()) == []
    assert "Not promoted" in write_report("mood", of.run).read_text("utf-8")


def test_a_second_run_does_nothing_again(tmp_path: Path, craft: Clockwork) -> None:
    of = a_round(tmp_path, TRAFFIC, craft)
    first = run_round(of)
    journal = list(craft.journal)

    assert run_round(of) == first
    assert craft.journal == journal


def test_what_follows_a_change_is_made_anew_and_nothing_before_it(
    tmp_path: Path, craft: Clockwork
) -> None:
    of = a_round(tmp_path, TRAFFIC, craft)
    run_round(of)
    curated = (of.run / "curate" / "manifest.json").read_bytes()
    craft.journal.clear()
    changed = Settings.model_validate(of.settings.model_dump() | {"train": {"harvest_times": 3}})
    run_round(a_round(tmp_path, TRAFFIC, craft, settings=changed))

    assert craft.journal[0].startswith("train")
    assert (of.run / "curate" / "manifest.json").read_bytes() == curated


def test_a_folder_that_somebody_altered_is_made_anew(tmp_path: Path, craft: Clockwork) -> None:
    of = a_round(tmp_path, TRAFFIC, craft)
    run_round(of)
    rows = (of.run / "harvest" / "rows.jsonl").read_bytes()
    (of.run / "harvest" / "rows.jsonl").write_bytes(rows[:-1] + b" \n")
    run_round(of)

    assert (of.run / "harvest" / "rows.jsonl").read_bytes() == rows


def test_a_round_that_was_cut_goes_on_from_what_the_step_had_left(
    tmp_path: Path, craft: Clockwork
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(out: Path) -> None:
        (out / "checkpoint").write_bytes(b"half")
        raise PowerCut

    of = a_round(tmp_path, TRAFFIC, Clockwork(craft.incumbent, during=cut))
    with pytest.raises(PowerCut):
        run_round(of)
    seen: list[bytes] = []

    def look(out: Path) -> None:
        seen.append((out / "checkpoint").read_bytes())

    on = a_round(tmp_path, TRAFFIC, Clockwork(craft.incumbent, during=look))
    assert run_round(on).promoted
    assert seen == [b"half"]


def test_the_exam_is_never_trained_on(tmp_path: Path, craft: Clockwork) -> None:
    of = a_round(tmp_path, TRAFFIC, craft)
    run_round(of)
    trained = {row.text for row in read_rows(of.run / "label" / "train.jsonl")}
    exam = (of.run / "apart" / "sealed" / "exam.jsonl").read_text(encoding="utf-8")

    set_apart = [text(at) for at in range(200) if is_set_apart(text(at), 0.2)]
    assert 20 < len(set_apart) < 60
    assert not trained & set(set_apart)
    assert all(each in exam for each in set_apart)


# Accidents: each is stopped by its gate


def reading(path: str) -> Callable[[Path], None]:
    def read(out: Path) -> None:
        (out.parent / path).read_bytes()

    return read


def full_disk(out: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"weights")


def diverged(_: Path) -> None:
    raise Refused(Gate.LOSS_NOT_FINITE, "the loss of step 3 is nan")


@pytest.mark.parametrize(
    ("during", "gate"),
    [
        (reading("apart/sealed/exam.jsonl"), Gate.HOLDOUT_LEAK),
        (full_disk, Gate.CANNOT_WRITE),
        (diverged, Gate.LOSS_NOT_FINITE),
    ],
)
def test_an_accident_in_training_promotes_nothing(
    tmp_path: Path, during: Callable[[Path], None], gate: Gate
) -> None:
    craft = Clockwork(tmp_path / "incumbent.delta", during=during)

    nothing_is_promoted(a_round(tmp_path, TRAFFIC, craft), gate, "train")


@pytest.mark.parametrize(
    ("poison", "gate"),
    [
        ([(exchange(at, teacher=answer("###")), []) for at in range(200, 260)],
         Gate.GARBAGE_TEACHER),
        ([(exchange(at, said=text(1)), []) for at in range(201, 601, 2)], Gate.DUPLICATE_FLOOD),
        ([(exchange(at, said=text(at + 9_800)), []) for at in range(200, 240)],
         Gate.HOLDOUT_LEAK),
    ],
)  # fmt: skip
def test_poisoned_traces_promote_nothing(
    tmp_path: Path, craft: Clockwork, poison: list[Record], gate: Gate
) -> None:
    everything = Settings(holdout=HoldoutRules(traces=0.0))
    clean = TRAFFIC[:100]

    nothing_is_promoted(
        a_round(tmp_path, [*clean, *poison], craft, settings=everything), gate, "curate"
    )
    assert craft.journal == []


def test_words_of_the_exam_in_rows_that_come_to_the_label_step_stop_it(
    tmp_path: Path, craft: Clockwork
) -> None:
    of = a_round(tmp_path, TRAFFIC, craft)
    run_round(of, until="curate")
    leaked = replace(read_rows(of.run / "curate" / "train.jsonl")[0], text=text(10_001))
    with pytest.raises(Refused) as refused:
        must_not_leak([leaked], load_ngrams(of.run / "apart" / "ngrams.json"))
    assert refused.value.gate is Gate.HOLDOUT_LEAK


def test_a_route_without_traces_is_refused(tmp_path: Path, craft: Clockwork) -> None:
    nothing_is_promoted(
        a_round(tmp_path, [(exchange(1, route="other"), [])], craft), Gate.NO_ROWS, "harvest"
    )


def test_a_step_alone_makes_what_comes_before_it(tmp_path: Path, craft: Clockwork) -> None:
    of = a_round(tmp_path, TRAFFIC, craft)
    outcome: Any = run_round(of, until="curate")

    assert outcome.step == "curate"
    assert [name for name in STEPS if (of.run / name).exists()] == list(STEPS[:3])
