"""What the verification's proof is served with: the task's two models, and untrained students.

Each is a folder of safetensors that vLLM serves, made once in the models' home from the files that
ship; a name ends with what it was made from, so that new weights make new folders.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from serving.home import Home
from serving.models import BASE
from serving.triage.delta import open_delta
from serving.triage.manifest import manifest, verified
from tests.vllm.environment import MODEL, make_model

WITHOUT_FOUR = (*range(20), *range(24, 30))
"""Of the base's 30 layers: what is left, untrained, still writes English."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """base: SmolLM2. teacher: with the task's adapter merged. student: what ships. pruned: the
    student's layers of the base, untrained. shortened: the base without four layers.
    """

    base: Path
    teacher: Path
    student: Path
    pruned: Path
    shortened: Path


def make_checkpoints(folder: Path) -> Checkpoints:
    """folder: the vLLM environment. Raises CannotMake."""
    shipped, models = manifest(), Home.of(os.environ).models
    gguf = models / BASE.file_name
    student = models / f"triage-student-{shipped.student_sha256[:8]}.gguf"
    adapter, delta = verified(shipped.teacher_adapter), verified(shipped.student_delta)

    def made(name: str, source: Path, *wishes: str) -> Path:
        return make_model(folder, source, models / f"{name}-bf16", *wishes)

    layers = open_delta(delta).base_layers
    suffix = shipped.teacher_adapter.sha256[:8]
    return Checkpoints(
        base=make_model(folder, gguf, models / MODEL),
        teacher=made(f"triage-teacher-{suffix}", gguf, "--adapter", str(adapter)),
        student=made(student.stem, student),
        pruned=made(f"untrained-{len(layers)}", gguf, "--layers", _listed(layers)),
        shortened=made("untrained-26", gguf, "--layers", _listed(WITHOUT_FOUR)),
    )


def _listed(layers: tuple[int, ...]) -> str:
    return ",".join(map(str, layers))
