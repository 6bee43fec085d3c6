"""Logs of others as traces: a file's rows become exchanges that a teacher answered.

Three forms are told apart by the first row:

log      {"timestamp", "workload_id", "client_id", "request", "response"}: OpenAI bodies, as
         gateways and flywheels log them
chat     {"messages": […]}: OpenAI's fine-tuning form; the last message is the answer
labelled CSV with a header, or JSONL, with a column for the prompt and one for the label; labels
         are taken for people's, so they come in as corrections
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import UNSET, Raw, UnsetType

from router.trace import (
    Exchange,
    Judge,
    Judgement,
    ModelAnswer,
    Outcome,
    Reason,
    ServedBy,
    Usage,
    new_trace_id,
)

MODE = "imported"
"""The mode of an exchange that no route of ours served."""
COMPARATOR = "imported"
_PROMPTS = ("prompt", "text", "input", "question", "instruction")
_LABELS = ("label", "answer", "output", "completion", "response", "target")
_SHOWN = 80


class CannotImport(ValueError):
    """The file, or a row of it, is in none of the forms; the text names line and fix."""


class Form(StrEnum):
    """How a row is written."""

    LOG = "log"
    CHAT = "chat"
    LABELLED = "labelled"


@dataclass(frozen=True, slots=True)
class Naming:
    """How the rows are named and read. system: a system message before each labelled prompt.
    prompt, label: columns; None looks for the usual names.
    """

    route: str
    system: str | None = None
    prompt: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """One row: an exchange, and what people said of it."""

    exchange: Exchange
    judgement: Judgement | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | None = None
    tool_calls: Raw | UnsetType = UNSET


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Body(msgspec.Struct):
    """An answer in OpenAI's chat form."""

    choices: list[_Choice] = msgspec.field(default_factory=list)
    model: str = ""
    usage: Usage | None = None


class _Log(msgspec.Struct):
    request: Raw
    response: _Body
    timestamp: float | str
    workload_id: str | None = None
    client_id: str | None = None


class _Chat(msgspec.Struct):
    messages: list[Raw]


def read_rows(path: Path, naming: Naming, *, now_s: float) -> Iterator[Imported]:
    """Every row of a file. Raises CannotImport, and OSError where it cannot be read.

    Rows without a time of their own get the file's, `now_s` (its mtime, say): the same file then
    gives the same trace ids. Rows of one text and one time differ by their place in the file.
    """
    form: Form | None = None
    for place, (line, row) in enumerate(_rows(path)):
        where = f"{path}:{line}"
        form = form or _form_of(row, where)
        random = hashlib.sha256(f"{place}\0{json.dumps(row, sort_keys=True)}".encode()).digest()[
            :10
        ]
        try:
            yield _READ[form](row, naming, now_s, random)
        except (ValueError, TypeError, msgspec.ValidationError) as error:
            raise CannotImport(f"{where}: as a row of the form {form}: {error}") from error


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        for row in reader:
            yield reader.line_num, row
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CannotImport(f"{path}:{number}: not JSON: {line[:_SHOWN]!r}") from error
        if not isinstance(row, dict):
            raise CannotImport(f"{path}:{number}: not a JSON object: {line[:_SHOWN]!r}")
        yield number, row


def _form_of(row: Mapping[str, object], where: str) -> Form:
    if {"request", "response"} <= row.keys():
        return Form.LOG
    if "messages" in row:
        return Form.CHAT
    if len(row) > 1:
        return Form.LABELLED
    raise CannotImport(
        f"{where}: columns {sorted(row)}: expected request and response, or messages, or a "
        "column for the prompt and one for the label"
    )


def _log(row: Mapping[str, object], naming: Naming, now_s: float, random: bytes) -> Imported:
    read = msgspec.convert({"timestamp": now_s, **row, "request": _raw(row["request"])}, _Log)
    if not read.response.choices:
        raise ValueError("response.choices is empty: nothing was answered")
    first = read.response.choices[0]
    answer = ModelAnswer(
        upstream=MODE,
        model=read.response.model,
        text=first.message.content,
        finish_reason=first.finish_reason,
        usage=read.response.usage,
        tool_calls=first.message.tool_calls,
    )
    ts = _unix_s(read.timestamp)
    return Imported(_exchange(naming, ts, random, read.request, answer, caller=read.client_id))


def _chat(row: Mapping[str, object], naming: Naming, now_s: float, random: bytes) -> Imported:
    messages = row["messages"]
    if not isinstance(messages, list) or len(messages) < 2:  # noqa: PLR2004 - question and answer
        raise ValueError("messages: expected a question and, last, its answer")
    answer = msgspec.convert(
        {name: value for name, value in messages[-1].items() if name != "tool_calls"}, _Message
    )
    if answer.role != "assistant":
        raise ValueError(f"messages: the last one is {answer.role}'s, expected assistant's")
    calls = messages[-1].get("tool_calls")
    rest = {name: value for name, value in row.items() if name != "messages"}
    request = _raw({**rest, "messages": messages[:-1]})
    said = ModelAnswer(
        upstream=MODE,
        model="",
        text=answer.content,
        tool_calls=UNSET if calls is None else _raw(calls),
    )
    return Imported(_exchange(naming, now_s, random, request, said))


def _labelled(row: Mapping[str, object], naming: Naming, now_s: float, random: bytes) -> Imported:
    prompt = _column(row, naming.prompt, _PROMPTS, "prompt")
    label = _column(row, naming.label, _LABELS, "label")
    system = [{"role": "system", "content": naming.system}] if naming.system else []
    request = _raw({"messages": [*system, {"role": "user", "content": prompt}]})
    exchange = _exchange(
        naming, now_s, random, request, ModelAnswer(upstream=MODE, model="", text=label)
    )
    judgement = Judgement(
        trace_id=exchange.trace_id,
        by=Judge.FEEDBACK,
        comparator=COMPARATOR,
        agreement=None,
        detail="",
        propensity=1.0,
        ts=now_s,
        correction=label,
    )
    return Imported(exchange, judgement)


_READ = {Form.LOG: _log, Form.CHAT: _chat, Form.LABELLED: _labelled}


def _exchange(
    naming: Naming,
    ts: float,
    random: bytes,
    request: Raw,
    answer: ModelAnswer,
    *,
    caller: str | None = None,
) -> Exchange:
    return Exchange(
        trace_id=new_trace_id(ts, random),
        ts=ts,
        route=naming.route,
        caller=caller,
        stream=False,
        request=request,
        mode=MODE,
        pinned=False,
        served_by=ServedBy.TEACHER,
        reason=Reason.ROUTE_MODE,
        teacher=answer,
        status=200,
        outcome=Outcome.SERVED,
        total_s=0.0,
    )


def _column(row: Mapping[str, object], name: str | None, usual: tuple[str, ...], what: str) -> str:
    found = [name] if name is not None else [each for each in usual if each in row]
    if not found or found[0] not in row:
        looked = name or ", ".join(usual)
        raise ValueError(f"no column {looked} among {sorted(row)}; name it with --{what}")
    value = row[found[0]]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _unix_s(told: float | str) -> float:
    """Unix seconds, or ISO 8601 (UTC where it names no zone)."""
    if isinstance(told, str):
        moment = datetime.fromisoformat(told)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return told


def _raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
