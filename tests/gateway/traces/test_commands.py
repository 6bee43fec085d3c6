import argparse
import json
from pathlib import Path

import pytest

from gateway.location import default_store, store_path
from gateway.traces.commands import age_s, traces
from gateway.traces.schema import connect_writer
from router.trace import Reason, ServedBy, decode_exchange, decode_judgement
from tests.gateway.traces.conftest import Fill
from tests.gateway.traces.records import (
    NOON_S,
    SetClock,
    answer,
    exchange,
    feedback,
    judgement,
    trace_id,
)

ESCAPE = "\x1b[31m[red]"
DEFERRED = exchange(
    2,
    ts=NOON_S + 2,
    served_by=ServedBy.TEACHER,
    reason=Reason.LOW_CONFIDENCE,
    confidence=0.25,
    teacher=answer(f"{ESCAPE}dreadful", upstream="teacher"),
)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tutelage traces")
    return traces(parser)(parser.parse_args(arguments))


@pytest.fixture
def store(path: Path, fill: Fill) -> str:
    fill(exchange(1, student=answer("fine")), DEFERRED, judgement(trace_id=DEFERRED.trace_id))
    return f"sqlite://{path}"


def test_ls_shows_who_answered_and_why(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ls", "--store", store) == 0
    header, newest, oldest = capsys.readouterr().out.splitlines()

    assert header.split()[:4] == ["UTC", "trace", "id", "route"]
    for told in (DEFERRED.trace_id[:18], "teacher", "low_confidence", "0.250", "It was awful"):
        assert told in newest
    for told in (trace_id(1)[:18], "student", "confident", "0.900", "fine"):
        assert told in oldest


def test_ls_takes_filters(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("ls", "--store", store, "--served-by", "teacher", "--reason", "low_confidence", "--json")
    (line,) = capsys.readouterr().out.splitlines()

    assert decode_exchange(line.encode()) == DEFERRED


def test_ls_says_when_nothing_fits(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ls", "--store", store, "--route", "nowhere") == 0
    assert capsys.readouterr().out.strip() == "no trace fits"


def test_stats_tell_how_many_shadows_brought_no_pair(
    path: Path, fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(exchange(1), judgement(1, comparator="shed", agreement=None))

    assert run("stats", "--store", f"sqlite://{path}") == 0
    assert "shadows without a pair" in (told := capsys.readouterr().out)
    assert "shed 1" in told
    assert "nothing that the student served was shadowed" in told


def test_since_leaves_out_what_is_older(
    path: Path, fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(
        exchange(1, ts=1e9, route="in-2001"),
        exchange(2, ts=4e9, route="in-2096"),
        clock=SetClock(1e9),
    )
    for page in ("ls", "stats"):
        assert run(page, "--store", f"sqlite://{path}", "--since", "1d") == 0
        told = capsys.readouterr().out
        assert "in-2096" in told
        assert "in-2001" not in told


def test_show_tells_the_whole_story(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "--store", store, DEFERRED.trace_id[:18]) == 0
    told = capsys.readouterr().out

    for each in (
        DEFERRED.trace_id,
        "0.2500 (threshold 0.800, 10 tokens seen)",
        "It was awful",
        "teacher (served)",
        "teacher-model",
        "dreadful",
        '{"sentiment":"negative"}',
        "sentiment: negative|neutral",
        "0.05",
    ):
        assert each in told


def test_show_tells_what_readers_said(
    path: Path, fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    words = feedback(2, agreement=None, detail="", label=f"{ESCAPE}rude", correction=None)
    fill(exchange(1), feedback(1), exchange(2), words)
    run("show", "--store", f"sqlite://{path}", trace_id(1))
    scored = capsys.readouterr().out
    run("show", "--store", f"sqlite://{path}", trace_id(2))
    unscored = capsys.readouterr().out

    for each in ("feedback", "0.25", "survey", "thumbs_down", "far too long", "neutral"):
        assert each in scored
    assert "[red]rude" in unscored
    assert "score" not in unscored
    assert "\x1b" not in unscored


def test_stats_tell_feedback_apart_from_agreement(
    path: Path, fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(
        *(exchange(1), feedback(1), feedback(1, agreement=None), feedback(1, agreement=0.75)),
        *(exchange(2, served_by=ServedBy.TEACHER), feedback(2, agreement=None)),
    )
    run("stats", "--store", f"sqlite://{path}")
    told = capsys.readouterr().out

    assert "3, mean score 0.50 of 2" in told
    assert "1, no score" in told
    assert "agreement" not in told


def test_words_of_others_cannot_steer_the_terminal(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in (("ls",), ("show", DEFERRED.trace_id)):
        run(page[0], "--store", store, *page[1:])
        told = capsys.readouterr().out
        assert "\x1b" not in told
        assert "[red]dreadful" in told


def test_show_for_machines_is_the_exchange_then_its_judgements(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("show", "--store", store, "--json", DEFERRED.trace_id)
    first, second = capsys.readouterr().out.splitlines()

    assert decode_exchange(first.encode()) == DEFERRED
    assert decode_judgement(second.encode()).trace_id == DEFERRED.trace_id


def test_stats_tell_coverage_reasons_latency_and_money(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("stats", "--store", store) == 0
    told = capsys.readouterr().out

    for each in (
        "triage",
        "50.0% served by the student",
        "confident 1",
        "0.575",
        "p50 50 ms",
        "$0.002000, saved $0.020000",
        "label: 0.0% (0.0% to 79.3%), 1 judged",
        "nothing that the student served was shadowed",
    ):
        assert each in told


def test_stats_for_machines_are_a_line_a_route(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("stats", "--store", store, "--json")
    (line,) = capsys.readouterr().out.splitlines()

    assert json.loads(line)["coverage"] == 0.5


def test_the_default_store_is_in_tutelage_home(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUTELAGE_HOME", str(tmp_path))
    assert run("ls") == 2
    assert f"there is no trace store at {tmp_path}/traces.db" in capsys.readouterr().err

    connect_writer(store_path(default_store({"TUTELAGE_HOME": str(tmp_path)}))).close()
    assert run("ls") == 0


def test_a_config_names_the_store(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "tutelage.toml"
    config.write_text(
        f'[traces]\nstore = "{store}"\n'
        '[upstreams.one]\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "m"\n'
        '[routes.triage]\nstudent = "one"\nteacher = "one"\n'
    )
    assert run("ls", "--config", str(config), "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2

    assert run("ls", "--config", str(tmp_path / "none.toml")) == 2
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "ffff"], "trace 'ffff': not in this store"),
        (["show", trace_id(1)[:8]], "several begin like this"),
    ],
)
def test_an_id_that_does_not_name_one_trace_is_an_error(
    store: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments[0], "--store", store, *arguments[1:]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800)]
)
def test_an_age_has_a_unit(text: str, seconds: float) -> None:
    assert age_s(text) == seconds


@pytest.mark.parametrize("wrong", ["", "5", "d", "-3d", "3 d", "yesterday"])
def test_an_age_without_one_is_refused_with_the_right_form(wrong: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 30m, 12h, 7d or 2w"):
        age_s(wrong)


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--limit", "x"], ["--reason", "mood"]])
def test_a_wrong_filter_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("ls", *arguments)
    assert arguments[1] in capsys.readouterr().err
