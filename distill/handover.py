"""The end of a round: the decision, and of a promoted student all that a release is made of.

decision.json     yes or no, and every test behind it
student.gguf      what is served                (these three only where it was promoted)
gate.json         the threshold that was chosen on this student, and the reading it is for
provenance.json   the hashes of everything that shaped it, and its figures
"""

import shutil
from pathlib import Path

import msgspec

from distill.evaluation import Figures, read_figures
from distill.promotion import Finding, PromotionRules, decide
from distill.step import read_manifest

SIGNAL = "mean_probability"
"""Of the label's tokens: the reading that the exam's confidence is."""


class Written(msgspec.Struct, frozen=True):
    """`decision.json`."""

    promoted: bool
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]


def promote(route: str, run: Path, rules: PromotionRules, out: Path) -> None:
    """Writes the decision, and what `tutelage releases add` takes."""
    figures = read_figures(run / "evaluate" / "figures.json")
    decision = decide(figures.compared, figures.bytes, figures.threshold, rules)
    written = Written(decision.promoted, tuple(decision.reasons), decision.findings)
    (out / "decision.json").write_bytes(_json(written))
    if not decision.promoted:
        return
    shutil.copyfile(run / "train" / "student.gguf", out / "student.gguf")
    (out / "gate.json").write_bytes(
        _json({"threshold": figures.threshold, "signal": SIGNAL, "window_tokens": 24})
    )
    (out / "provenance.json").write_bytes(_json(_provenance(route, run, figures)))


def read_decision(path: Path) -> Written:
    """What `promote` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Written)


def _provenance(route: str, run: Path, figures: Figures) -> dict[str, object]:
    steps = ("apart", "harvest", "curate", "label", "train", "evaluate")
    return {
        "route": route,
        "steps": {name: read_manifest(run / name) for name in steps},
        "figures": figures.compared,
        "texts": figures.texts,
    }


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
