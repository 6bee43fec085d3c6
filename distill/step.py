"""One step of a round: input files in, a folder out, with a manifest of all that shaped it.

A folder with a manifest is whole. It is used again as long as the hashes of inputs, settings and
code are the same and its own files are what they were; else it is made anew, and with it all that
follows. A step that is cut leaves `NAME.part`, whose checkpoints the next attempt at the very same
thing goes on from.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from distill.gates import Gate, Refused
from distill.holdout import SealedHoldout
from serving.triage.manifest import file_sha256

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_SHAPE = "shape.sha256"


class Manifest(msgspec.Struct, frozen=True):
    """Hashes of what shaped a step and of what it left; seconds: what it took."""

    step: str
    shape: str
    inputs: dict[str, str]
    settings: str
    outputs: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Step:
    """name: of its folder. inputs: files by the names that the manifest has for them.

    settings: everything else that shapes the outcome, as text. version: raised when the code of
    the step changes what comes out. work: fills the folder that it is given.
    """

    name: str
    inputs: Mapping[str, Path]
    settings: str
    work: Callable[[Path], None]
    version: int = 1


def run_step(step: Step, run: Path, *, clock: Callable[[], float]) -> tuple[Path, bool]:
    """The step's folder, and whether it had to be made. Raises Refused."""
    folder, part = run / step.name, run / f"{step.name}.part"
    inputs = {name: file_sha256(path) for name, path in step.inputs.items()}
    shape = _shape(step, inputs)
    if is_whole(folder, shape):
        log.info("%s: kept, nothing that shapes it has changed", step.name)
        return folder, False
    started = clock()
    try:
        if not _goes_on(part, shape):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            (part / _SHAPE).write_text(shape, encoding="utf-8")
        step.work(part)
        manifest = Manifest(
            step=step.name,
            shape=shape,
            inputs=inputs,
            settings=step.settings,
            outputs=_hashes(part),
            seconds=round(clock() - started, 1),
        )
        (part / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except SealedHoldout as error:
        raise Refused(Gate.HOLDOUT_LEAK, f"step {step.name}: {error}") from error
    except OSError as error:
        raise Refused(
            Gate.CANNOT_WRITE, f"step {step.name} in {run}: {error}; free some space, run again"
        ) from error
    return folder, True


def is_whole(folder: Path, shape: str | None = None) -> bool:
    """Whether the folder is what its manifest says, of that shape (or of any)."""
    manifest = read_manifest(folder)
    if manifest is None or (shape is not None and manifest.shape != shape):
        return False
    return _hashes(folder) == manifest.outputs


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none, or it is no manifest."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def _shape(step: Step, inputs: Mapping[str, str]) -> str:
    told = [step.name, step.version, sorted(inputs.items()), step.settings]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def _goes_on(part: Path, shape: str) -> bool:
    kept = part / _SHAPE
    return kept.exists() and kept.read_text(encoding="utf-8") == shape


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
