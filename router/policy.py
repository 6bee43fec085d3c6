"""Who may answer a request: the route's mode and the client's pin make a plan."""

from functools import cache

import msgspec

from router.name import Name
from router.trace import Reason


class Mode(Name):
    """How a route answers."""

    CASCADE = "cascade"
    STUDENT = "student"
    TEACHER = "teacher"
    SPECULATIVE = "speculative"
    """The teacher's engine answers, and lets the student draft for it."""


class Pin(Name):
    """The model a client insists on, as in `support:teacher`."""

    STUDENT = "student"
    TEACHER = "teacher"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """backup: the other model may serve if the first is dead; never for a pin.

    reason: why the planned model is asked first, where no gate decides.
    """

    mode: Mode
    pinned: bool
    backup: bool
    reason: Reason


@cache
def plan(mode: Mode, pin: Pin | None, *, generates: bool = True, judgeable: bool = True) -> Plan:
    """A pin overrides the mode and means that model or none: its failure is an error.

    generates: False for vectors and token ids, which are one model's own: the student's where the
    route's mode is the student, else the teacher's, and nobody else's. judgeable: False where the
    gate could not read the student's tokens, so that the teacher is asked at once.
    """
    if pin is not None:
        return Plan(mode=Mode(pin.value), pinned=True, backup=False, reason=Reason.PINNED)
    if not generates:
        only = Mode.STUDENT if mode is Mode.STUDENT else Mode.TEACHER
        return Plan(mode=only, pinned=False, backup=False, reason=Reason.ROUTE_MODE)
    if mode is Mode.CASCADE and not judgeable:
        return Plan(mode=Mode.TEACHER, pinned=False, backup=True, reason=Reason.NO_SIGNAL)
    reason = Reason.SPECULATIVE if mode is Mode.SPECULATIVE else Reason.ROUTE_MODE
    return Plan(mode=mode, pinned=False, backup=True, reason=reason)
