"""The confidence gate: whether the client may see the student's words.

Pure and sans-IO: the gateway owns the sockets and the clock and feeds this module numbers. The
class that rules live is the class that is replayed on traces.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from router.calibration import Calibration
from router.deciding import DecidingTokens
from router.name import Name
from router.opening import MOST_TOKENS, Opening
from router.signals import Signals, bounded, mean_probability, min_probability, read_signals


class Verdict(Enum):
    """What the gate says after a token."""

    WAIT = auto()
    COMMIT = auto()
    ESCALATE = auto()


class Signal(Name):
    """What is read off the deciding tokens' logprobs."""

    MEAN_PROBABILITY = "mean_probability"
    MIN_PROBABILITY = "min_probability"


_SIGNALS: dict[Signal, Callable[[Sequence[float]], float]] = {
    Signal.MEAN_PROBABILITY: mean_probability,
    Signal.MIN_PROBABILITY: min_probability,
}
_WAIT = Verdict.WAIT
_NEVER = sys.maxsize
"""A window that does not fill."""


@dataclass(frozen=True, slots=True)
class GateRule:
    """signal: what confidence is; a calibration makes it one that means what it says.

    threshold: lowest confidence that commits, in (0, 1].

    window_tokens: tokens held before ruling, all of them counted; None holds the whole answer.
    label: the top-level JSON field whose value decides; None lets every JSON value decide.
    """

    signal: Signal | Calibration
    threshold: float
    window_tokens: int | None
    label: str | None

    def confidence(self, logprobs: Sequence[float]) -> float:
        """In [0, 1], of an answer's deciding tokens, at least one."""
        if isinstance(self.signal, Calibration):
            return self.signal.confidence(read_signals(logprobs))
        return _SIGNALS[self.signal](logprobs)

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
    value; one that ends inside a tool call, for the end of the answer. The window begins after
    the reasoning, if there is any. Without a window it rules at `finish()`, by the same confidence.
    """

    def __init__(self, rule: GateRule, *, tools: bool = False) -> None:
        """tools: the answer may call tools."""
        self._rule = rule
        self._scan = DecidingTokens(rule.label, tools=tools)
        self._restarts = 0
        self._logprobs: list[float] = []  # of the deciding tokens
        self._places: list[int] = []  # theirs among all tokens, from 1
        self._begun = 0
        self._value_end: int | None = None
        self._told_late = False
        self._window_end = rule.window_tokens or _NEVER
        self._ruled: float | None = None
        self.verdict = Verdict.WAIT
        self.tokens = 0
        """Tokens read up to the ruling, deciding or not."""

    @property
    def deciding(self) -> int:
        """Those of them that carried a deciding value."""
        return len(self._logprobs)

    @property
    def confidence(self) -> float | None:
        """In [0, 1], as of the ruling, or of the tokens read so far.

        None if no token was read at all, 0 if tokens were read but none of them decides.
        """
        if self.verdict is not _WAIT:
            return self._ruled
        if not self.tokens:
            return None
        return self._rule.confidence(self._logprobs) if self._logprobs else 0.0

    @property
    def signals(self) -> Signals | None:
        """What was read up to the ruling; None if no token decided."""
        return read_signals(self._logprobs) if self._logprobs else None

    @property
    def opening(self) -> Opening | None:
        """As of the ruling; None without a window, where it is too long to keep, or where a call or
        the end of a reasoning came after words: a smaller window might not have waited for it.
        """
        window, places = self._rule.window_tokens, self._places
        if window is None or self._told_late or self._scan.in_calls or len(places) > MOST_TOKENS:
            return None
        value_end = self._value_end
        if value_end is None and self._scan.plain and places:
            value_end = places[0]
        return Opening(
            window=window,
            begun=self._begun,
            tokens=self.tokens,
            places=tuple(places),
            nats=tuple(bounded(self._logprobs)),
            value_end=value_end,
        )

    def feed(self, token: bytes, logprob: float) -> Verdict:
        """Take the answer's next token and its log-probability (nats, <= 0)."""
        return self.feed_all(((token, logprob),))

    def feed_all(self, tokens: Iterable[tuple[bytes, float]]) -> Verdict:
        """As `feed`, token by token; those after the ruling are not looked at."""
        if self.verdict is not _WAIT:
            return self.verdict
        scan, logprobs, places = self._scan, self._logprobs, self._places
        windowed = self._rule.window_tokens is not None
        for token, logprob in tokens:
            self.tokens += 1
            if scan.plain and b"<" not in token and b"[" not in token:  # as scan.feed would find
                if token:
                    logprobs.append(logprob)
                    if windowed:
                        places.append(self.tokens)
            elif not scan.label_complete:  # nothing decides after it
                self._feed_marked(token, logprob)
            if self.tokens >= self._window_end and self._is_ripe():
                self._decide()
                break
        return self.verdict

    def reasoned(self, tokens: int) -> None:
        """So many tokens were reasoning, as the engine itself has told them apart."""
        if self.verdict is _WAIT:
            self.tokens += tokens
            self._begin_window()

    def finish(self) -> Verdict:
        """Rule on what there is: the student's answer has ended."""
        if self.verdict is _WAIT:
            self._decide()
        return self.verdict

    def _feed_marked(self, token: bytes, logprob: float) -> None:
        """A token that has to be looked at: JSON, a call, or one that may be a part of a marker."""
        scan = self._scan
        decides = scan.feed(token)
        if scan.restarts != self._restarts:
            self._restarts = scan.restarts
            self._logprobs.clear()
            self._places.clear()
            self._value_end = None
            self._told_late |= self._begun < self.tokens - 1
            self._begin_window()
        elif scan.in_reasoning:
            self._begin_window()
        if decides:
            self._logprobs.append(logprob)
            self._places.append(self.tokens)
        if self._value_end is None and self._logprobs and not scan.in_value:
            self._value_end = self.tokens
        if scan.in_calls:
            self._window_end = _NEVER
        elif scan.label_complete and self._rule.window_tokens is not None:
            self._window_end = self.tokens

    def _begin_window(self) -> None:
        self._begun = self.tokens
        if self._rule.window_tokens is not None:
            self._window_end = self.tokens + self._rule.window_tokens

    def _is_ripe(self) -> bool:
        """Whether a window that is full holds enough to rule on."""
        if self._scan.label_complete:
            return True
        if self.tokens == self._window_end and self._logprobs:
            return True
        return bool(self._logprobs) and not self._scan.in_value

    def _decide(self) -> None:
        self._ruled = confidence = self.confidence
        sure = confidence is not None and confidence >= self._rule.threshold
        self.verdict = Verdict.COMMIT if sure else Verdict.ESCALATE


class AnswerGate:
    """The gate of a whole answer, which has n >= 1 choices (`n` in the request).

    The choices travel in one response, so they are ruled on as one: commit only when every choice
    commits, escalate as soon as one escalates. The confidence is the least confident choice's.
    """

    def __init__(self, rule: GateRule, choices: int, *, tools: bool = False) -> None:
        """tools: the answer may call tools."""
        if choices < 1:
            raise ValueError(f"choices must be at least 1, got {choices}")
        self._gates = [ConfidenceGate(rule, tools=tools) for _ in range(choices)]
        self._choices = choices
        self.verdict = Verdict.WAIT

    @property
    def confidences(self) -> tuple[float | None, ...]:
        """Each choice's own, as of the ruling."""
        return tuple(gate.confidence for gate in self._gates)

    @property
    def confidence(self) -> float | None:
        """Minimum over the choices; after an escalation, over those that called for it.

        None if there is no such choice with a token: nothing was read that could be sure.
        """
        if self._choices == 1:
            return self._gates[0].confidence
        escalated = [gate for gate in self._gates if gate.verdict is Verdict.ESCALATE]
        seen = [gate.confidence for gate in escalated or self._gates]
        return min((value for value in seen if value is not None), default=None)

    @property
    def signals(self) -> Signals | None:
        """Those of the choice with the least confidence; None if it has none."""
        if self._choices == 1:
            return self._gates[0].signals
        return min(self._gates, key=lambda gate: gate.confidence or 0.0).signals

    @property
    def opening(self) -> Opening | None:
        """Of a single choice; None where there are several."""
        return self._gates[0].opening if self._choices == 1 else None

    @property
    def tokens(self) -> int:
        return sum(gate.tokens for gate in self._gates)

    @property
    def deciding(self) -> int:
        return sum(gate.deciding for gate in self._gates)

    def feed(self, choice: int, token: bytes, logprob: float) -> Verdict:
        """Take the next token of one choice (0-based, as `index` in OpenAI's chunks)."""
        return self.feed_all(choice, ((token, logprob),))

    def feed_all(self, choice: int, tokens: Iterable[tuple[bytes, float]]) -> Verdict:
        """As `feed`, token by token; those after the ruling are not looked at."""
        if not 0 <= choice < self._choices:
            raise ValueError(f"choice must be in 0..{self._choices - 1}, got {choice}")
        if self.verdict is _WAIT and self._gates[choice].feed_all(tokens) is not _WAIT:
            self._decide()
        return self.verdict

    def reasoned(self, choice: int, tokens: int) -> None:
        """So many tokens of a choice were reasoning, as the engine itself has told them apart.

        Needed only where the reasoning's beginning stood in the prompt: its tag tells the rest.
        """
        if not 0 <= choice < self._choices:
            raise ValueError(f"choice must be in 0..{self._choices - 1}, got {choice}")
        if self.verdict is _WAIT:
            self._gates[choice].reasoned(tokens)

    def finish(self) -> Verdict:
        """Rule on what there is: every choice has ended."""
        if self.verdict is _WAIT:
            for gate in self._gates:
                gate.finish()
            self._decide()
        return self.verdict

    def _decide(self) -> None:
        if self._choices == 1:
            self.verdict = self._gates[0].verdict
            return
        verdicts = {gate.verdict for gate in self._gates}
        if Verdict.ESCALATE in verdicts:
            self.verdict = Verdict.ESCALATE
        elif verdicts == {Verdict.COMMIT}:
            self.verdict = Verdict.COMMIT
