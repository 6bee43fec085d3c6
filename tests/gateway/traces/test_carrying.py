"""`tutelage traces export` and `import`: into a file, and from one."""

import argparse
import json
from pathlib import Path

import pytest

from gateway.traces.commands import traces
from gateway.traces.reading import SqliteReader
from router.trace import Reason, ServedBy, decode_exchange, decode_judgement, encode
from tests.gateway.traces.conftest import Fill
from tests.gateway.traces.records import NOON_S, exchange, feedback, judgement

DEFERRED = exchange(
    2, ts=NOON_S + 2, served_by=ServedBy.TEACHER, reason=Reason.LOW_CONFIDENCE, confidence=0.25
)
SAID = feedback(trace_id=DEFERRED.trace_id)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tutelage traces")
    return traces(parser)(parser.parse_args(arguments))


@pytest.fixture
def store(path: Path, fill: Fill) -> str:
    fill(exchange(1), judgement(1), DEFERRED, SAID, exchange(3, ts=NOON_S + 9, route="other"))
    return f"sqlite://{path}"


def test_an_export_is_what_was_stored_each_exchange_before_its_judgements(
    store: str, tmp_path: Path
) -> None:
    assert run("export", "--store", store, "--out", str(tmp_path / "out.jsonl")) == 0
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()

    assert lines == [
        encode(each)
        for each in (
            exchange(1),
            judgement(1),
            DEFERRED,
            SAID,
            exchange(3, ts=NOON_S + 9, route="other"),
        )
    ]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--route", "other"], [3]),
        (["--reason", "low_confidence"], [2]),
        (["--served-by", "student"], [1, 3]),
        (["--route", "nowhere"], []),
    ],
)
def test_an_export_takes_filters(
    store: str, capfdbinary: pytest.CaptureFixture[bytes], filters: list[str], found: list[int]
) -> None:
    assert run("export", "--store", store, *filters) == 0
    lines = capfdbinary.readouterr().out.splitlines()

    exchanges = [decode_exchange(line) for line in lines if b'"kind":"exchange"' in line]
    assert [int(each.ts - NOON_S) for each in exchanges] == [{1: 0, 2: 2, 3: 9}[at] for at in found]


def test_a_file_is_imported_once_however_often_one_tries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, store = tmp_path / "rows.csv", f"sqlite://{tmp_path / 'new.db'}"
    file.write_text("prompt,label\nGood,positive\nBad,negative\n", encoding="utf-8")

    for told in ("stored 2", "dropped:duplicate 2"):
        assert run("import", str(file), "--route", "triage", "--store", store) == 0
        assert told in capsys.readouterr().out
    with SqliteReader(tmp_path / "new.db") as reader:
        kept = list(reader.of_route("triage"))
        corrections = [each.correction for one, _ in kept for each in reader.get(one.trace_id)[1]]
    assert sorted(corrections, key=str) == ["negative", "positive"]


def test_an_import_may_become_an_export_without_a_store(tmp_path: Path) -> None:
    file, out = tmp_path / "rows.csv", tmp_path / "out.jsonl"
    file.write_text("prompt,label\nGood,positive\n", encoding="utf-8")

    assert run("import", str(file), "--route", "triage", "--out", str(out)) == 0
    first, second = out.read_bytes().splitlines()
    assert decode_exchange(first).trace_id == decode_judgement(second).trace_id


def test_a_file_with_one_bad_row_brings_nothing_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, path = tmp_path / "rows.jsonl", tmp_path / "new.db"
    file.write_text(json.dumps({"text": "Good", "label": "yes"}) + "\nnonsense\n", encoding="utf-8")

    assert run("import", str(file), "--route", "triage", "--store", f"sqlite://{path}") == 2
    assert f"{file}:2: not JSON" in capsys.readouterr().err
    with SqliteReader(path) as reader:
        assert reader.stats() == []


def test_a_cut_export_leaves_the_file_that_was_there(store: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("before", encoding="utf-8")

    assert run("export", "--store", "sqlite:///nowhere/at.all", "--out", str(out)) == 2
    assert out.read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]
