"""The parts of our own time: the `stage` label of `tutelage_overhead_seconds`."""

from router.name import Name


class Stage(Name):
    PARSE = "parse"
    ADMIT = "admit"
    PLAN = "plan"
    GATE = "gate"
    RESPOND = "respond"
