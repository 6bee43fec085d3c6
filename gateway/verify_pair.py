"""A route's rule of verification, and what is known of its two models."""

from dataclasses import dataclass, field

from gateway.call import Call
from gateway.clock import Clock
from gateway.errors import UpstreamFailed, UpstreamRejected
from gateway.upstream import Upstream
from gateway.verify_probe import Unable, examine
from gateway.verify_wish import Unfit
from router.collapse import CollapseRule
from router.verify_rules import Rule, is_exact

_AGAIN_S = 60.0
"""How long a pair that failed its examination is not asked again."""


@dataclass(slots=True)
class VerifyPair:
    """Examined at the first deferral; until then, and where it fails, nothing is verified.

    top_logprobs: how many of the teacher's first choices are kept for each token. deferrals,
    shadows: whether those are read. collapse: when the teacher takes a committed stream over.
    """

    student: Upstream
    teacher: Upstream
    rule: Rule
    top_logprobs: int
    clock: Clock
    deferrals: bool = True
    shadows: bool = False
    collapse: CollapseRule | None = None
    context_tokens: int | None = field(default=None, init=False)
    """The teacher's; None where it is not known."""
    exact: bool = field(init=False)
    _able: bool = field(default=False, init=False)
    _why_not: str = field(default="", init=False)
    _not_before_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.exact = is_exact(self.rule)

    @property
    def known_unable(self) -> str:
        """Why nothing is verified for now; empty where that is not known."""
        return self._why_not if self.clock.monotonic_s() < self._not_before_s else ""

    async def check(self, until_s: float | None) -> None:
        """Raises Unfit. One request does the asking; others do not wait for it."""
        if self._able:
            return
        if why_not := self.known_unable:
            raise Unfit(why_not)
        self._because("the two models are being examined")
        try:
            self.context_tokens = await self._examined(until_s)
        except (Unable, UpstreamFailed, UpstreamRejected) as trouble:
            self._because(str(trouble))
            raise Unfit(str(trouble)) from trouble
        except BaseException:
            self._not_before_s = 0.0  # the client left: the next one asks
            raise
        self._able, self._not_before_s = True, 0.0

    def _because(self, why_not: str) -> None:
        self._why_not = why_not
        self._not_before_s = self.clock.monotonic_s() + _AGAIN_S

    async def _examined(self, until_s: float | None) -> int | None:
        questions = examine(self.student.model, self.teacher.model)
        answer: bytes | None = None
        while True:
            try:
                question = questions.send(answer)
            except StopIteration as over:
                return over.value  # type: ignore[no-any-return]  # what `examine` returns
            upstream = self.student if question.role == "student" else self.teacher
            try:
                answer = await upstream.ask(Call(question.path, question.body, until_s=until_s))
            except UpstreamRejected:
                answer = None
