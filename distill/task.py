"""What the loop has to know of a task: how its requests and answers are read, and its exam."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ExamText:
    """One text of the exam. gold: the right label, where people have said it."""

    id: str
    text: str
    gold: str | None = None


class Task(Protocol):
    """name: of the task, and of its releases. field: of an answer, the one that decides; None: all
    of it.
    """

    name: str
    field: str | None

    def text_of(self, request: bytes) -> str | None:
        """What a chat request asks about; None if it is not one of this task."""

    def label_of(self, answer: str) -> str | None:
        """What decides of an answer; None if it is not exactly one answer."""

    def conversation(self, text: str) -> list[dict[str, str]]:
        """The messages that ask it."""

    def odds_of(
        self, tokens: Sequence[Mapping[str, float]]
    ) -> tuple[tuple[float, ...], ...] | None:
        """The probabilities of the symbols that decide, from each token's likeliest candidates
        (text to probability), in the order of an answer; None if they are not in there.
        """

    def fits(self, text: str) -> bool:
        """Whether the text can be trained on: short enough, say."""

    def gold(self) -> list[ExamText]:
        """The checked set, which no one trains on."""

    def choosing(self) -> list[ExamText]:
        """Texts to choose thresholds on, which no one trains on either."""
