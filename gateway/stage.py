"""The parts of our own time: the `stage` label of `tutelage_overhead_seconds`."""

from enum import StrEnum


class Stage(StrEnum):
    PARSE = "parse"
    ADMIT = "admit"
    PLAN = "plan"
    GATE = "gate"
    RESPOND = "respond"
