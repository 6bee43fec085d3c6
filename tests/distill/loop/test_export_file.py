"""An export is read back as it was written, and nothing else is taken for one."""

from pathlib import Path

import pytest

from distill.export_file import NotAnExport, read_export, write_export
from router.evidence import Record
from tests.distill.loop.made import by_student, exchange, judged

ONE, OTHER = exchange(1), by_student(2)
RECORDS: list[Record] = [(ONE, []), (OTHER, [judged(OTHER, 0.0), judged(OTHER, 1.0)])]


def test_exchanges_come_back_with_their_judgements(tmp_path: Path) -> None:
    write_export(RECORDS, tmp_path / "export.jsonl")

    assert list(read_export(tmp_path / "export.jsonl")) == RECORDS


def test_an_empty_export_is_one(tmp_path: Path) -> None:
    write_export([], tmp_path / "export.jsonl")

    assert list(read_export(tmp_path / "export.jsonl")) == []


def test_a_judgement_must_follow_its_exchange(tmp_path: Path) -> None:
    write_export([(ONE, [judged(OTHER, 0.0)])], tmp_path / "export.jsonl")

    with pytest.raises(NotAnExport, match=r"export.jsonl:2: a judgement without its exchange"):
        list(read_export(tmp_path / "export.jsonl"))


@pytest.mark.parametrize("line", ["{}", "nonsense", '{"kind":"exchange","schema":99}'])
def test_other_lines_are_refused_with_their_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "export.jsonl").write_text(f"{line}\n", encoding="utf-8")

    with pytest.raises(NotAnExport, match=r"export.jsonl:1"):
        list(read_export(tmp_path / "export.jsonl"))
