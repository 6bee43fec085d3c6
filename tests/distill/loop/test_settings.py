"""A round's settings file, and the command line in front of it."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("datasketch")

from distill.cli import STEP_NAMES, distill
from distill.config import BadSettings, Settings
from distill.loop import STEPS, run_round
from distill.triage_task import Triage
from serving.triage.task import messages
from tests.distill.loop.made import Clockwork, a_round, exchange


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tutelage distill")
    return distill(parser)(parser.parse_args(arguments))


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "round.toml"
    file.write_text("[curate]\nlongest = 900\n[teacher]\nurl = 'http://x/v1'\nmodel = 'm'\n")
    read = Settings.load(file)

    assert read.curate.longest == 900
    assert read.curate.shortest == Settings().curate.shortest
    assert read.teacher is not None
    assert read.teacher.at_once == 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[curate]\nlonger = 900\n", "curate.longer"),
        ("[train]\nlearning_rate = 0\n", "train.learning_rate"),
        ("[holdout]\ntraces = 2\n", "holdout.traces"),
        ("[teacher]\nmodel = 'm'\n", "teacher.url"),
        ("curate = 3", "curate"),
        ("[", "round.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "round.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match=why):
        Settings.load(file)


def test_the_command_knows_the_loops_steps_without_importing_it() -> None:
    assert STEP_NAMES == STEPS
    program = "import distill.cli, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_where_the_extra_is_not_installed_it_says_so() -> None:
    program = (
        "import argparse, sys; sys.modules['datasketch'] = None\n"
        "from distill.cli import distill; parser = argparse.ArgumentParser()\n"
        "sys.exit(distill(parser)(parser.parse_args(['status', 'triage'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "pip install 'tutelage[distill]'" in done.stderr


def test_status_and_report_tell_how_a_round_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = a_round(tmp_path, [(exchange(at), []) for at in range(100)], Clockwork(tmp_path / "i"))
    run_round(of, until="label")

    assert run("status", "mood", "--out", str(of.run)) == 0
    told = capsys.readouterr().out
    assert told.count("done in") == 4
    assert "done up to label" in told
    assert run("report", "mood", "--out", str(of.run)) == 0
    page = (of.run / "report.html").read_text(encoding="utf-8")
    assert "why: fallback" in page
    assert "words of a held-out text" in page


def test_a_round_that_never_was_cannot_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("status", "report"):
        assert run(action, "mood", "--out", str(tmp_path / "none")) == 2
        assert "no round has run there" in capsys.readouterr().err


def test_triage_reads_its_own_requests_and_no_others() -> None:
    import msgspec  # noqa: PLC0415

    task = Triage()
    asked = {"messages": messages("It broke."), "temperature": 0}
    assert task.text_of(msgspec.json.encode(asked)) == "It broke."
    assert task.text_of(b'{"messages": [{"role": "user", "content": "It broke."}]}') is None
    assert task.text_of(b'{"prompt": "It broke."}') is None
    assert task.label_of('{"sentiment":"negative","intensity":2}') == "negative"
    assert task.label_of("negative") is None


def test_triages_odds_are_those_of_the_label_and_the_digit() -> None:
    tokens = [
        {'{"': 0.99},
        {"negative": 0.7, "neutral": 0.2, "nothing": 0.1},
        {'":': 1.0},
        {"2": 0.5, "3": 0.3},
    ]
    label, digit = Triage().odds_of(tokens) or ((), ())

    assert label == pytest.approx((0.7 / 0.9, 0.2 / 0.9, 0.0))
    assert digit == pytest.approx((0.0, 0.0, 0.625, 0.375, 0.0))
    assert Triage().odds_of(tokens[:1]) is None
