"""Logs of others become traces: what is asked and answered, by whom it is taken to be."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw, UnsetType

from gateway.traces.importing import CannotImport, Imported, Naming, read_rows
from router.trace import Judge, ServedBy, decode_exchange, encode
from tests.gateway.traces.records import NOON_S

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Is it?"}], "temperature": 0.2}
LOGGED: dict[str, Any] = {
    "timestamp": NOON_S,
    "workload_id": "triage",
    "client_id": "shop",
    "request": ASKED,
    "response": {
        "id": "chatcmpl-1",
        "model": "big-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It is."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    },
}


def rows(path: Path, content: str, **naming: str) -> list[Imported]:
    path.write_text(content, encoding="utf-8")
    return list(read_rows(path, Naming(route="triage", **naming), now_s=NOON_S))


def body(raw: Raw | UnsetType) -> Any:
    return msgspec.json.decode(raw)  # type: ignore[arg-type] # it is set


def messages(row: Imported) -> Any:
    return body(row.exchange.request)["messages"]


def test_a_log_keeps_its_request_to_the_last_field(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "log.jsonl", json.dumps(LOGGED))
    exchange = row.exchange

    assert body(exchange.request) == ASKED
    assert (exchange.ts, exchange.caller, exchange.served_by) == (NOON_S, "shop", ServedBy.TEACHER)
    assert exchange.teacher is not None
    assert (exchange.teacher.text, exchange.teacher.model) == ("It is.", "big-1")
    assert exchange.teacher.usage is not None
    assert exchange.teacher.usage.completion_tokens == 4
    assert decode_exchange(encode(exchange)).trace_id == exchange.trace_id


def test_a_time_may_be_written_out_and_is_utc_where_it_names_no_zone(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "log.jsonl", json.dumps(LOGGED | {"timestamp": "2027-01-15T08:00:00"}))

    assert row.exchange.ts == NOON_S


def test_the_last_message_of_a_chat_is_its_answer(tmp_path: Path) -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Yes."},
    ]
    (row,) = rows(tmp_path / "chat.jsonl", json.dumps({"messages": said}))

    assert messages(row) == said[:2]
    assert row.exchange.teacher is not None
    assert row.exchange.teacher.text == "Yes."
    assert row.judgement is None


def test_tool_calls_of_a_chat_come_along(tmp_path: Path) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    said = [
        {"role": "user", "content": "Call it"},
        {"role": "assistant", "content": None, "tool_calls": calls},
    ]
    (row,) = rows(tmp_path / "chat.jsonl", json.dumps({"messages": said, "tools": []}))

    assert row.exchange.teacher is not None
    assert body(row.exchange.teacher.tool_calls) == calls


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_label_is_a_persons_word(tmp_path: Path, name: str) -> None:
    content = (
        'text,label\n"Bad, very bad",negative\n'
        if name.endswith("csv")
        else json.dumps({"text": "Bad, very bad", "label": "negative"})
    )
    (row,) = rows(tmp_path / name, content, system="Triage.")

    assert messages(row) == [
        {"role": "system", "content": "Triage."},
        {"role": "user", "content": "Bad, very bad"},
    ]
    assert row.judgement is not None
    assert (row.judgement.by, row.judgement.correction) == (Judge.FEEDBACK, "negative")


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    content = "id,review,stars\n1,Fine,5\n"
    (row,) = rows(tmp_path / "rows.csv", content, prompt="review", label="stars")

    assert row.judgement is not None
    assert row.judgement.correction == "5"
    with pytest.raises(CannotImport, match="name it with --prompt"):
        rows(tmp_path / "rows.csv", content)


def test_the_same_file_gives_the_same_ids_and_equal_rows_differ(tmp_path: Path) -> None:
    line = json.dumps({"text": "Twice", "label": "x"})
    first = [row.exchange.trace_id for row in rows(tmp_path / "a.jsonl", f"{line}\n{line}\n")]
    again = [row.exchange.trace_id for row in rows(tmp_path / "b.jsonl", f"{line}\n{line}\n")]

    assert first == again
    assert len(set(first)) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "rows.jsonl:1: not JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": "alone"}', "expected request and response"),
        ('{"messages": [{"role": "user", "content": "?"}]}', "a question and, last, its answer"),
        (json.dumps(LOGGED | {"response": {"choices": []}}), "nothing was answered"),
        (json.dumps(LOGGED | {"timestamp": "noon"}), "noon"),
    ],
)
def test_a_row_in_no_form_is_refused_with_its_line(tmp_path: Path, content: str, why: str) -> None:
    with pytest.raises(CannotImport, match=why):
        rows(tmp_path / "rows.jsonl", content)
