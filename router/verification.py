"""The record of one verification: the student's tokens, and what the teacher thought of each.

The teacher's most probable tokens, at the student's own prefixes, are on-policy soft labels.
"""

from enum import StrEnum

import msgspec

from router.verify_rules import Reading


class Ending(StrEnum):
    """What became of a deferral on a route that verifies, or of an answer that was read later."""

    KEPT = "kept"  # the whole draft is the answer
    CONTINUED = "continued"  # the teacher went on from a part of it
    REJECTED = "rejected"  # nothing stood that could be gone on from: the teacher wrote anew
    UNFIT = "unfit"  # not tried: the request, or the pair of models, is not fit for it
    FAILED = "failed"  # the teacher could not read, or not go on: it was asked to write anew
    TAKEN_OVER = "taken_over"  # confidence fell after the commit: the teacher went on


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """rule: its name and number. deferred: why the student's answer was a deferral; `takeover`
    where it had been committed.

    why_not: what was in the way. kept: tokens that the answer begins with; agreed: tokens that the
    rule let stand. token_ids: the student's, the end of its turn included. readings: the teacher's,
    one a token. read_tokens, written_tokens: what the teacher's calls for it cost, all together.
    """

    rule: str
    deferred: str
    ending: Ending
    why_not: str = ""
    kept: int = 0
    agreed: int = 0
    token_ids: tuple[int, ...] = ()
    readings: tuple[Reading, ...] = ()
    read_tokens: int = 0
    written_tokens: int = 0
