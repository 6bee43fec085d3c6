"""Where runs and trials keep their files."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from distill.recipe import Workshop

BASE = Path("base.gguf")


def test_a_run_keeps_everything_in_its_own_folder() -> None:
    at = Workshop(BASE, Path("run"))
    kept = [at.states("train"), at.adapter, at.labels, at.student, at.teacher.adapter]
    assert all(path.is_relative_to("run") for path in kept)


def test_a_trial_reads_what_it_shares_and_writes_beside_it() -> None:
    at = Workshop(BASE, Path("trial"), shared=Path("run"), taught_by=Path("best"))
    assert at.states("train").is_relative_to("run")
    assert (at.teacher.adapter, at.teacher.labels) == (
        Path("best/teacher"),
        Path("best/labels.jsonl"),
    )
    assert {at.adapter.parent, at.labels.parent, at.student.parent} == {Path("trial")}
