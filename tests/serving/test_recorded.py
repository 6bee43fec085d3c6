import json
from pathlib import Path

from serving.recorded import recorded_figures

FIGURES = {
    "texts": 2342,
    "student": {"estimate": 0.7312, "lower": 0.7129, "upper": 0.7488},
    "teacher": {"estimate": 0.7854, "lower": 0.7683, "upper": 0.8015},
    "at_threshold": {
        "threshold": 0.71,
        "coverage": 0.6123,
        "accuracy": 0.7781,
        "selective_accuracy": 0.8102,
    },
    "curve": [],
}


def manifest(folder: Path, figures: object) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"threshold": 0.71, "figures": figures}))
    return path


def test_what_was_recorded_is_said_in_one_sentence(tmp_path: Path) -> None:
    assert str(recorded_figures(manifest(tmp_path, {"test": FIGURES}))) == (
        "Recorded on all 2342 texts of the test part: student 73% (71% to 75%), "
        "teacher 79% (77% to 80%), cascade 78% at 61% coverage."
    )


def test_nothing_recorded_is_nothing_said(tmp_path: Path) -> None:
    assert recorded_figures(manifest(tmp_path, {"calibration": FIGURES})) is None
    assert recorded_figures(tmp_path / "none.json") is None
