"""The tour: held-out questions with known answers through the gateway, three ways.

As a client would ask (the cascade decides), then the same questions pinned to the student and to
the teacher, so that the three can be compared on what matters: the label people gave.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from serving.deployment import Price
from serving.reply import NotAReply, read_reply
from serving.scoreboard import Column, Share
from serving.triage.dataset import Feedback, TestPurpose, open_test
from serving.triage.task import Answer, NotAnAnswer, messages, parse_answer

ANSWER_TOKENS = 24
"""Twice the answer's length: enough to see a model that does not stop."""

REQUEST_TIMEOUT_S = 90.0
PATIENCE_S = 60.0
"""How long a pinned question is asked again while its engine is being restarted."""

_ASK_AGAIN_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and what came back."""

    question: Feedback
    took_s: float
    text: str = ""
    served_by: str = ""
    reason: str = ""
    confidence: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    problem: str | None = None
    """Why there is no answer; None when there is one."""

    @property
    def answer(self) -> Answer | None:
        """None when it failed or is not in the task's form."""
        try:
            return parse_answer(self.text)
        except NotAnAnswer:
            return None

    @property
    def right(self) -> bool:
        """The label that people gave."""
        return self.answer is not None and self.answer.sentiment is self.question.gold.sentiment


@dataclass(frozen=True, slots=True)
class Tour:
    """The same questions, three ways, in the same order."""

    cascade: tuple[Asked, ...]
    student: tuple[Asked, ...]
    teacher: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Guide:
    """Asks. `gateway_alive` raises if the gateway is gone: then there is nobody left to ask."""

    http: httpx.Client
    route: str
    clock: Callable[[], float]
    pause: Callable[[float], None]
    gateway_alive: Callable[[], None]

    def warm_up(self, question: Feedback) -> None:
        """The first request through fresh connections and caches is slower; it is not timed."""
        for role in ("student", "teacher"):
            self.pinned(question, role)

    def cascade(self, question: Feedback) -> Asked:
        """As a client asks: once."""
        return self._ask(question, self.route)

    def pinned(self, question: Feedback, role: str) -> Asked:
        """One model's answer; asked again for a while, because a pin has no fallback."""
        began = self.clock()
        while True:
            asked = self._ask(question, f"{self.route}:{role}")
            if asked.problem is None or self.clock() - began > PATIENCE_S:
                return asked
            self.pause(_ASK_AGAIN_AFTER_S)

    def _ask(self, question: Feedback, model: str) -> Asked:
        began = self.clock()
        try:
            reply = self.http.post(
                "/v1/chat/completions",
                json={
                    "model": model,
                    "messages": messages(question.text),
                    "temperature": 0,
                    "max_tokens": ANSWER_TOKENS,
                },
                timeout=REQUEST_TIMEOUT_S,
            )
        except httpx.TransportError as error:
            self.gateway_alive()
            return Asked(question, self.clock() - began, problem=f"{type(error).__name__}: {error}")
        took_s = self.clock() - began
        if reply.status_code != httpx.codes.OK:
            problem = f"{reply.status_code}: {reply.text[:120]}"
            return Asked(question, took_s, problem=problem)
        return _read(question, took_s, reply)


def choose(size: int, questions: Sequence[Feedback] | None = None) -> list[Feedback]:
    """`size` texts of the held-out part: the same on every machine, in no order of the file's."""
    held_out = open_test(TestPurpose.TOUR) if questions is None else questions
    # Salted: the split itself is by a hash of ids, and its order would favour some sources.
    return sorted(held_out, key=lambda item: _digest(f"tour {item.id}"))[:size]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def columns(tour: Tour, *, student: Price, teacher: Price) -> tuple[Column, Column, Column]:
    """Student alone, teacher alone, cascade.

    A deferral costs both models: what the student wrote before it was passed over is taken from
    its pinned answer to the same question (an upper bound: the gate may hang up earlier).
    """
    student_usd = [_usd(asked, student) for asked in tour.student]
    teacher_usd = [_usd(asked, teacher) for asked in tour.teacher]
    cascade_usd = [
        _usd(asked, teacher) + alone if asked.served_by == "teacher" else _usd(asked, student)
        for asked, alone in zip(tour.cascade, student_usd, strict=True)
    ]
    return (
        _column("student alone", tour.student, sum(student_usd)),
        _column("teacher alone", tour.teacher, sum(teacher_usd)),
        _column("cascade", tour.cascade, sum(cascade_usd)),
    )


def coverage(cascade: Sequence[Asked]) -> Share:
    """Share of the answered requests that the student served."""
    answered = [asked for asked in cascade if asked.problem is None]
    return Share(sum(asked.served_by == "student" for asked in answered), len(answered))


def _column(title: str, asked: Sequence[Asked], usd: float) -> Column:
    return Column(
        title=title,
        right=Share(sum(one.right for one in asked), len(asked)),
        took_s=tuple(one.took_s for one in asked if one.problem is None),
        usd=usd,
        failed=sum(one.problem is not None for one in asked),
    )


def _usd(asked: Asked, price: Price) -> float:
    return price.usd(prompt_tokens=asked.prompt_tokens, completion_tokens=asked.completion_tokens)


def _read(question: Feedback, took_s: float, reply: httpx.Response) -> Asked:
    try:
        body = read_reply(reply.content)
    except NotAReply as error:
        return Asked(question, took_s, problem=str(error))
    confidence = reply.headers.get("x-tutelage-confidence")
    return Asked(
        question,
        took_s,
        text=body.text,
        served_by=reply.headers.get("x-tutelage-served-by", "?"),
        reason=reply.headers.get("x-tutelage-reason", "?"),
        confidence=float(confidence) if confidence else None,
        prompt_tokens=body.usage.prompt_tokens,
        completion_tokens=body.usage.completion_tokens,
    )
