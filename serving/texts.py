"""Texts that weights are quantized by and judged by: a JSONL file of chats, texts or traces."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import BadConfig

FORMS = (
    '{"messages": [{"role": …, "content": …}]}, {"text": …}, '
    "or what `tutelage traces export` writes"
)

_OF_AN_EXPORT = {"exchange", "judgement"}


class _Line(BaseModel):
    """Only what is read here; fine-tuning files and traces have more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Part(_Line):
    text: str = ""


class _Said(_Line):
    role: str
    content: str | tuple[_Part, ...] | None = None


class _Chat(_Line):
    messages: tuple[_Said, ...] = ()


class _Answer(_Line):
    text: str | None = None


class _Row(_Chat):
    kind: str | None = None
    text: str | None = None
    request: _Chat | None = None
    teacher: _Answer | None = None
    student: _Answer | None = None


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A chat, which ends with an answer or with a question, or a text."""

    messages: tuple[Message, ...] = ()
    text: str = ""

    def order(self) -> dict[str, object]:
        """As an engine's requests and the jobs have it."""
        if self.text:
            return {"text": self.text}
        return {"messages": [{"role": m.role, "content": m.content} for m in self.messages]}

    @property
    def question(self) -> tuple[Message, ...]:
        """A chat up to its last answer."""
        answered = bool(self.messages) and self.messages[-1].role == "assistant"
        return self.messages[:-1] if answered else self.messages

    @property
    def key(self) -> str:
        """The same for the same words."""
        return hashlib.sha256(json.dumps(self.order()).encode()).hexdigest()


def read_texts(path: Path) -> tuple[Sample, ...]:
    """Each once, in the order of the file. Raises `BadConfig` naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig("--texts", f"{path} cannot be read: {error}") from error
    found = (
        _sample(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()
    )
    return tuple({sample.key: sample for sample in found if sample is not None}.values())


def split(samples: Sequence[Sample], *, held_out: int) -> tuple[list[Sample], list[Sample]]:
    """Those to calibrate on, and `held_out` to judge by: the same ones whatever their order."""
    drawn = {sample.key for sample in sorted(samples, key=lambda each: each.key)[:held_out]}
    kept = [sample for sample in samples if sample.key not in drawn]
    return kept, [sample for sample in samples if sample.key in drawn]


def _sample(path: Path, number: int, line: str) -> Sample | None:
    """None: a line of an export that holds no words, such as a judgement."""
    try:
        row = _Row.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        at = ".".join(map(str, problem["loc"])) or "the line"
        raise BadConfig(f"{path}:{number}", f"{at}: {problem['msg']}; a line is {FORMS}") from error
    if row.text:
        return Sample(text=row.text)
    said = _messages(row.messages or (row.request.messages if row.request else ()))
    answer = next((each.text for each in (row.teacher, row.student) if each and each.text), None)
    if said and answer and row.request:
        said = (*said, Message("assistant", answer))
    if not said and row.kind in _OF_AN_EXPORT:
        return None
    if not said:
        raise BadConfig(f"{path}:{number}", f"holds neither messages nor text; a line is {FORMS}")
    return Sample(messages=said)


def _messages(said: Sequence[_Said]) -> tuple[Message, ...]:
    """Without turns that have no words, such as calls of tools."""
    return tuple(Message(each.role, words) for each in said if (words := _words(each.content)))


def _words(content: str | tuple[_Part, ...] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content if part.text)
