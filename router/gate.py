"""The confidence gate: whether the client may see the student's words.

Pure and sans-IO: the gateway owns the sockets and the clock and feeds this module numbers. The
class that rules live is the class that is replayed on traces.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from router.signals import DecidingTokens, MeanProbability, MinProbability, RunningSignal


class Verdict(Enum):
    """What the gate says after a token."""

    WAIT = auto()
    COMMIT = auto()
    ESCALATE = auto()


class Signal(StrEnum):
    """What is read off the deciding tokens' logprobs."""

    MEAN_PROBABILITY = "mean_probability"
    MIN_PROBABILITY = "min_probability"


_SIGNALS: dict[Signal, Callable[[], RunningSignal]] = {
    Signal.MEAN_PROBABILITY: MeanProbability,
    Signal.MIN_PROBABILITY: MinProbability,
}


@dataclass(frozen=True, slots=True)
class GateRule:
    """threshold: lowest confidence that commits, in (0, 1].

    window_tokens: tokens held before ruling, all of them counted; None holds the whole answer.
    label: the top-level JSON field whose value decides; None lets every JSON value decide.
    """

    signal: Signal
    threshold: float
    window_tokens: int | None
    label: str | None

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"threshold must be in (0, 1], got {self.threshold}")
        if self.window_tokens is not None and self.window_tokens < 1:
            raise ValueError(
                f"window_tokens must be at least 1, or None for the whole answer; "
                f"got {self.window_tokens}"
            )
        if self.label == "":
            raise ValueError("label must name a JSON field, or be None; got ''")


class ConfidenceGate:
    """Watches the student's tokens, then rules once; a ruling never changes.

    It rules when the window is full, or as soon as the labelled value is complete if that is
    earlier. A full window without a deciding token waits on for the end of the first deciding
    value. Without a window it rules at `finish()`, by the same confidence.
    """

    def __init__(self, rule: GateRule) -> None:
        self._rule = rule
        self._scan = DecidingTokens(rule.label)
        self._signal = _SIGNALS[rule.signal]()
        self.verdict = Verdict.WAIT
        self.tokens = 0
        """Tokens read up to the ruling, deciding or not."""
        self.deciding = 0
        """Those of them that carried a deciding value."""

    @property
    def confidence(self) -> float | None:
        """In [0, 1], as of the ruling, or of the tokens read so far.

        None if no token was read at all, 0 if tokens were read but none of them decides.
        """
        if not self.tokens:
            return None
        return self._signal.value if self.deciding else 0.0

    def feed(self, token: bytes, logprob: float) -> Verdict:
        """Take the answer's next token and its log-probability (nats, <= 0)."""
        if self.verdict is not Verdict.WAIT:
            return self.verdict
        self.tokens += 1
        if self._scan.feed(token):
            self.deciding += 1
            self._signal.add(logprob)
        if self._is_ripe():
            self._decide()
        return self.verdict

    def finish(self) -> Verdict:
        """Rule on what there is: the student's answer has ended."""
        if self.verdict is Verdict.WAIT:
            self._decide()
        return self.verdict

    def _is_ripe(self) -> bool:
        window = self._rule.window_tokens
        if window is None:
            return False
        if self._scan.label_complete:
            return True
        if self.tokens < window:
            return False
        if self.tokens == window and self.deciding:
            return True
        return self.deciding > 0 and not self._scan.in_value

    def _decide(self) -> None:
        confidence = self.confidence
        sure = confidence is not None and confidence >= self._rule.threshold
        self.verdict = Verdict.COMMIT if sure else Verdict.ESCALATE


class AnswerGate:
    """The gate of a whole answer, which has n >= 1 choices (`n` in the request).

    The choices travel in one response, so they are ruled on as one: commit only when every choice
    commits, escalate as soon as one escalates. The confidence is the least confident choice's.
    """

    def __init__(self, rule: GateRule, choices: int) -> None:
        if choices < 1:
            raise ValueError(f"choices must be at least 1, got {choices}")
        self._gates = [ConfidenceGate(rule) for _ in range(choices)]
        self.verdict = Verdict.WAIT

    @property
    def confidence(self) -> float | None:
        """Minimum over the choices; after an escalation, over those that called for it.

        None if there is no such choice with a token: nothing was read that could be sure.
        """
        escalated = [gate for gate in self._gates if gate.verdict is Verdict.ESCALATE]
        seen = [gate.confidence for gate in escalated or self._gates]
        return min((value for value in seen if value is not None), default=None)

    @property
    def tokens(self) -> int:
        return sum(gate.tokens for gate in self._gates)

    @property
    def deciding(self) -> int:
        return sum(gate.deciding for gate in self._gates)

    def feed(self, choice: int, token: bytes, logprob: float) -> Verdict:
        """Take the next token of one choice (0-based, as `index` in OpenAI's chunks)."""
        if not 0 <= choice < len(self._gates):
            raise ValueError(f"choice must be in 0..{len(self._gates) - 1}, got {choice}")
        if self.verdict is Verdict.WAIT:
            self._gates[choice].feed(token, logprob)
            self._decide()
        return self.verdict

    def finish(self) -> Verdict:
        """Rule on what there is: every choice has ended."""
        if self.verdict is Verdict.WAIT:
            for gate in self._gates:
                gate.finish()
            self._decide()
        return self.verdict

    def _decide(self) -> None:
        verdicts = {gate.verdict for gate in self._gates}
        if Verdict.ESCALATE in verdicts:
            self.verdict = Verdict.ESCALATE
        elif verdicts == {Verdict.COMMIT}:
            self.verdict = Verdict.COMMIT
