"""Feedback triage, the embedded default's task, as the loop sees it."""

from collections.abc import Mapping, Sequence

import msgspec

from distill.task import ExamText
from serving.triage.dataset import Feedback, Split, TestPurpose, load, open_test
from serving.triage.task import (
    STRONGEST,
    SYSTEM_PROMPT,
    NotAnAnswer,
    Sentiment,
    messages,
    parse_answer,
)

_DIGITS = tuple(str(digit) for digit in range(STRONGEST + 1))
_LABELS = tuple(label.value for label in Sentiment)


class _Message(msgspec.Struct):
    role: str
    content: str


class _Asked(msgspec.Struct):
    messages: list[_Message]


class Triage:
    """A text in, its sentiment and how strong it is out."""

    name = "triage"
    field: str | None = "sentiment"

    def text_of(self, request: bytes) -> str | None:
        try:
            asked = msgspec.json.decode(request, type=_Asked).messages
        except msgspec.DecodeError:
            return None
        if [each.role for each in asked] != ["system", "user"] or asked[0].content != SYSTEM_PROMPT:
            return None
        return asked[1].content

    def label_of(self, answer: str) -> str | None:
        try:
            return parse_answer(answer).sentiment.value
        except NotAnAnswer:
            return None

    def conversation(self, text: str) -> list[dict[str, str]]:
        return messages(text)

    def odds_of(
        self, tokens: Sequence[Mapping[str, float]]
    ) -> tuple[tuple[float, ...], ...] | None:
        found = []
        for symbols in (_LABELS, _DIGITS):
            likely = next((each for each in tokens if _decides(each, symbols)), None)
            if likely is None:
                return None
            shares = [likely.get(symbol, 0.0) for symbol in symbols]
            found.append(tuple(share / sum(shares) for share in shares))
        return tuple(found)

    def fits(self, text: str) -> bool:
        """The recipe's rows begin with the prompt's tokens, which a leading space would merge."""
        return text == text.strip()

    def gold(self) -> list[ExamText]:
        return [_exam_text(item) for item in open_test(TestPurpose.EVALUATION)]

    def choosing(self) -> list[ExamText]:
        return [_exam_text(item) for item in load(Split.CALIBRATION)]


def _decides(likely: Mapping[str, float], symbols: Sequence[str]) -> bool:
    """Whether the likeliest candidate is one of the symbols."""
    return bool(likely) and max(likely, key=likely.__getitem__) in symbols


def _exam_text(item: Feedback) -> ExamText:
    return ExamText(item.id, item.text, item.gold.sentiment.value)
