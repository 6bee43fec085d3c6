"""What ships for the embedded default: names, hashes, sizes, figures (`manifest.json`, typed)."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
MANIFEST_FILE = HERE / "manifest.json"


class BrokenManifest(ValueError):
    """The manifest, or a file that it lists, is not what was released."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """One file that travels with the package."""

    name: str
    sha256: str
    bytes: int

    @property
    def path(self) -> Path:
        return HERE / self.name


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything code needs to know about the shipped models; provenance is in the file."""

    base_sha256: str
    """Of SmolLM2-135M-Instruct.Q4_1.gguf, which adapter and delta belong to."""
    data: Shipped
    teacher_adapter: Shipped
    student_delta: Shipped
    student_sha256: str
    """Of the file that `derive_student` writes."""
    threshold: float
    """Lowest probability of the sentiment's token at which the student's answer is served."""


@cache
def manifest() -> Manifest:
    """The manifest as shipped. Raises `BrokenManifest`."""
    try:
        read = json.loads(MANIFEST_FILE.read_text(encoding="utf-8"))
        return Manifest(
            base_sha256=read["base"]["sha256"],
            data=Shipped(**read["files"]["data"]),
            teacher_adapter=Shipped(**read["files"]["teacher_adapter"]),
            student_delta=Shipped(**read["files"]["student_delta"]),
            student_sha256=read["student"]["sha256"],
            threshold=float(read["threshold"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BrokenManifest(f"{MANIFEST_FILE}: {error!r}; reinstall tutelage") from error


def verified(shipped: Shipped) -> Path:
    """The path of a shipped file whose bytes are the released ones. Raises `BrokenManifest`."""
    found = file_sha256(shipped.path)
    if found != shipped.sha256:
        raise BrokenManifest(
            f"{shipped.path}: sha256 {found}, expected {shipped.sha256}; reinstall tutelage"
        )
    return shipped.path


def file_sha256(path: Path) -> str:
    """Of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
