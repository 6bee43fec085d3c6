"""One request's verification while it goes on: from the student's call to the trace."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import astuple

from gateway.events import Events
from gateway.verify_form import Continued
from gateway.verify_notes import Notes, Noting
from gateway.verify_wish import Wish
from router.trace import Usage
from router.verification import Ending, Verification
from router.verify_rules import Reading, Rule, is_exact

_SERVING = frozenset({Ending.KEPT, Ending.CONTINUED, Ending.TAKEN_OVER})


class Verifying(msgspec.Struct):
    """notes: None where the student was not asked for its ids; why_not tells the reason.

    ending: None as long as the request is no deferral.
    """

    rule: Rule
    notes: Notes | None = None
    wish: Wish | None = None
    why_not: str = ""
    deferred: str = ""
    ending: Ending | None = None
    kept: int = 0
    agreed: int = 0
    token_ids: tuple[int, ...] = ()
    readings: tuple[Reading, ...] = ()
    reading: Usage = Usage()
    whole: Usage = Usage()
    continued: Continued | None = None
    """A continuation that is streamed, and tells at its end what it cost."""

    def notes_of(self, whole: bytes) -> bytes:
        """A whole answer of the student, its ids taken out and noted."""
        return whole if self.notes is None else self.notes.take(whole)

    def noting(self, events: Events) -> Events:
        """The same of a stream."""
        return events if self.notes is None else Noting(events, self.notes)

    @property
    def serves(self) -> bool:
        """Whether words of the student stand in the answer, by the teacher's leave."""
        return self.ending in _SERVING

    @property
    def mixed(self) -> bool:
        """Whether what was told is neither model's own answer."""
        if self.ending is Ending.TAKEN_OVER:
            return True
        return self.serves and not is_exact(self.rule)

    @property
    def spent(self) -> Usage:
        """What the teacher's calls for it took."""
        streamed = self.continued.spent if self.continued is not None else None
        return _sum((self.reading, self.whole, streamed or Usage()))

    def billed(self, told: Usage | None) -> Usage | None:
        """What the teacher's calls took in all. told: what the client was told, if anything; where
        the teacher wrote anew that comes on top.
        """
        if self.ending is None:
            return told
        parts = (self.spent,) if self.serves or told is None else (self.spent, told)
        return _sum(parts)

    def ended(self, ending: Ending, why_not: str = "") -> None:
        self.ending, self.why_not = ending, why_not

    def traced(self) -> Verification | None:
        if self.ending is None:
            return None
        spent = self.spent
        return Verification(
            rule=str(self.rule),
            deferred=self.deferred,
            ending=self.ending,
            why_not=self.why_not,
            kept=self.kept,
            agreed=self.agreed,
            token_ids=self.token_ids,
            readings=self.readings,
            read_tokens=spent.prompt_tokens,
            written_tokens=spent.completion_tokens,
        )


def _sum(parts: Iterable[Usage]) -> Usage:
    prompt, completion, cached = map(sum, zip(*map(astuple, parts), strict=True))
    return Usage(prompt, completion, cached)
