"""What stops a round: every accident has a named gate, and behind a closed gate nothing moves."""

from enum import StrEnum


class Gate(StrEnum):
    """no_rows: nothing is left to learn from. garbage_teacher: its answers are no answers, or it
    does not repeat them. duplicate_flood: mostly the same texts. holdout_leak: texts of the exam
    among those to train on. loss_not_finite: training diverged. cannot_write: the disk. unlabelled:
    the teacher could not be asked.
    """

    NO_ROWS = "no_rows"
    GARBAGE_TEACHER = "garbage_teacher"
    DUPLICATE_FLOOD = "duplicate_flood"
    HOLDOUT_LEAK = "holdout_leak"
    LOSS_NOT_FINITE = "loss_not_finite"
    CANNOT_WRITE = "cannot_write"
    UNLABELLED = "unlabelled"


class Refused(Exception):
    """A gate is closed: the step leaves nothing, and no later one runs."""

    def __init__(self, gate: Gate, why: str) -> None:
        super().__init__(f"{gate}: {why}")
        self.gate = gate
        self.why = why
