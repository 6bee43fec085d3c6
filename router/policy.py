"""Who may answer a request: the route's mode and the client's pin make a plan."""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How a route answers."""

    CASCADE = "cascade"
    STUDENT = "student"
    TEACHER = "teacher"


class Pin(StrEnum):
    """The model a client insists on, as in `support:teacher`."""

    STUDENT = "student"
    TEACHER = "teacher"


@dataclass(frozen=True, slots=True)
class Plan:
    """backup: the other model may serve if the first is dead; never for a pin."""

    mode: Mode
    pinned: bool
    backup: bool


def plan(mode: Mode, pin: Pin | None) -> Plan:
    """A pin overrides the mode and means that model or none: its failure is an error."""
    if pin is None:
        return Plan(mode, pinned=False, backup=True)
    return Plan(Mode(pin.value), pinned=True, backup=False)
