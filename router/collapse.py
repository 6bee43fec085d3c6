"""Whether a student that was trusted has lost its way since: confidence in its last tokens.

With `l_1 … l_t` the log-probabilities of the answer's tokens and `C` the gate's own signal, the
confidence of the last `w` of them is `C_t = C(l_{t-w+1} … l_t)`, for `t >= w`. It has collapsed at
the first token after the commit at which `C_t < below * threshold`, the gate's own threshold being
the one in force. Once it has, it stays so.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from router.gate import GateRule


@dataclass(frozen=True, slots=True)
class CollapseRule:
    """below: in (0, 1], of the gate's threshold; 1 asks of every window what the gate asked of the
    first. window_tokens: how many of the last tokens are looked at.
    """

    below: float
    window_tokens: int

    def __post_init__(self) -> None:
        if not 0.0 < self.below <= 1.0:
            raise ValueError(f"below must be in (0, 1], got {self.below}")
        if self.window_tokens < 1:
            raise ValueError(f"window_tokens must be at least 1, got {self.window_tokens}")


class CollapseWatch:
    """One answer's. Every token counts, deciding or not: what was decided is with the client."""

    def __init__(self, rule: CollapseRule, gate: GateRule) -> None:
        self._gate = gate
        self._floor = rule.below * gate.threshold
        self._last: deque[float] = deque(maxlen=rule.window_tokens)
        self.collapsed = False

    def committed(self, nats: Iterable[float]) -> None:
        """Tokens that the gate has ruled on; they fill the window and cannot collapse."""
        self._last.extend(nats)

    def feed(self, nats: Iterable[float]) -> bool:
        """The next tokens' log-probabilities; whether confidence has collapsed by now."""
        for each in nats:
            self._last.append(each)
            if len(self._last) == self._last.maxlen and not self.collapsed:
                self.collapsed = self._gate.confidence(tuple(self._last)) < self._floor
        return self.collapsed
