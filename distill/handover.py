"""The end of a round: the decision, and of a promoted student a release, ready to be given a share.

A release holds the student, the threshold that was chosen on it and, as its provenance, the hashes
of everything that shaped it, with its figures.
"""

from pathlib import Path

import msgspec
from pydantic import JsonValue, TypeAdapter

from distill.evaluation import Figures, read_figures
from distill.gates import Gate, Refused
from distill.promotion import Finding, PromotionRules, decide
from distill.step import read_manifest
from distill.task import Task
from serving.release import Gate as ReleaseGate
from serving.releases import CannotRelease, Draft, Releases

SIGNAL = "mean_probability"
"""Of the label's tokens: the reading that the exam's confidence is."""


DECISION = "decision.json"
_SHAPING = ("apart", "harvest", "curate", "label", "train", "evaluate")


class Written(msgspec.Struct, frozen=True):
    """`decision.json`. release: the id of what was made; None where there is none."""

    promoted: bool
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    release: str | None


def promote(task: Task, run: Path, rules: PromotionRules, releases: Path, out: Path) -> None:
    """Writes the decision, and makes the release if it is yes. Raises Refused."""
    figures = read_figures(run / "evaluate" / "figures.json")
    decision = decide(figures.compared, figures.bytes, figures.threshold, rules)
    release = _release(task, run, figures, releases) if decision.promoted else None
    written = Written(decision.promoted, tuple(decision.reasons), decision.findings, release)
    (out / DECISION).write_bytes(_json(written))


def _release(task: Task, run: Path, figures: Figures, releases: Path) -> str:
    """The same student with the same past is the same release, however often it is made."""
    assert figures.threshold is not None  # noqa: S101 - without one nothing is promoted
    gate = ReleaseGate(threshold=figures.threshold, signal=SIGNAL, label=task.field)
    draft = Draft(
        name=task.name,
        weights=run / "train" / "student.gguf",
        gate=gate,
        provenance=_provenance(run, figures),
    )
    try:
        return Releases(releases).add(draft).id
    except CannotRelease as error:
        raise Refused(Gate.CANNOT_WRITE, f"the release: {error}") from error


def read_decision(path: Path) -> Written:
    """What `promote` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Written)


def _provenance(run: Path, figures: Figures) -> dict[str, JsonValue]:
    """What each step was shaped by and what it left, seconds aside."""
    manifests = {name: read_manifest(run / name) for name in _SHAPING}
    steps = {
        name: {"shape": each.shape, "inputs": each.inputs, "outputs": each.outputs}
        for name, each in manifests.items()
        if each is not None
    }
    told = {"steps": steps, "figures": figures.compared, "texts": figures.texts}
    return _OBJECT.validate_json(msgspec.json.encode(told))


_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
