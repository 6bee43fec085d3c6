"""How the embedded default is made: every number of the recipe, and where a run writes."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from distill.pretrained import unpacked
from distill.shipped import Begin
from distill.students import bottom_layers
from distill.teacher import AdapterShape
from distill.train import TrainPlan


def _teacher_plan() -> TrainPlan:
    return TrainPlan(learning_rate=1e-3, warmup_steps=40, checkpoint_every=40)


def _student_plan() -> TrainPlan:
    return TrainPlan(learning_rate=5e-4, warmup_steps=30, checkpoint_every=50)


KEPT_AT = (7, 16)
"""Layers whose incoming states are kept: the student's and the teacher's lowest trained ones."""


@dataclass(frozen=True)
class TeacherRecipe:
    """LoRA on gold labels."""

    shape: AdapterShape = field(default_factory=AdapterShape)
    epochs: float = 1.0
    rows: int = 16
    digit_weight: float = 0.5
    plan: TrainPlan = field(default_factory=_teacher_plan)
    seed: int = 0
    begin: Begin = Begin.FRESH


@dataclass(frozen=True)
class StudentRecipe:
    """Depth pruning, then a full fine-tune of the upper layers on soft labels."""

    layers: tuple[int, ...] = bottom_layers(30, 12, last=1)
    first_trained: int = 7
    """Student layers below stay the base's: no gradients, no delta."""
    epochs: float = 1.0
    rows: int = 16
    teacher_share: float = 0.7
    """Of a text's targets; the rest is what a fresh panel of raters would say.

    At 0 no teacher is needed: the student begins as the base's layers.
    """
    digit_weight: float = 0.3
    plan: TrainPlan = field(default_factory=_student_plan)
    seed: int = 0
    begin: Begin = Begin.FRESH
    bits: int = 4
    block: int = 64


@dataclass(frozen=True)
class Workshop:
    """Where a run reads and writes."""

    base_gguf: Path
    out: Path
    shared: Path | None = None
    """Another run's folder, whose base and frozen states are used (and added to) instead."""
    taught_by: Path | None = None
    """Another run's folder, whose adapter and soft labels a student is made from."""

    @property
    def base(self) -> Path:
        return unpacked(self.base_gguf, (self.shared or self.out) / "base")

    def states(self, part: str) -> Path:
        """Folder of the frozen layers' states for one part's texts."""
        return (self.shared or self.out) / "states" / part

    @property
    def adapter(self) -> Path:
        return self.out / "teacher"

    @property
    def labels(self) -> Path:
        return self.out / "labels.jsonl"

    @property
    def teacher(self) -> "Workshop":
        """Whose adapter and labels are the student's."""
        return replace(self, out=self.taught_by or self.out, taught_by=None)

    @property
    def student(self) -> Path:
        return self.out / "student.pt"

    @property
    def lora_file(self) -> Path:
        return self.out / "teacher-lora.gguf"

    @property
    def delta_file(self) -> Path:
        return self.out / "student-delta.gguf"

    @property
    def student_file(self) -> Path:
        return self.out / "triage-student.gguf"

    def answers(self, model: str, part: str) -> Path:
        return self.out / f"answers-{model}-{part}.jsonl"

    def figures(self, part: str) -> Path:
        return self.out / f"figures-{part}.json"
