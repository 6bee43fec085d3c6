"""One release: a student and all that belongs to it, in a folder that nobody alters.

    triage-3f2a9c1b77de/
      release.json          what it is, and the hash of every other file
      weights/…             a GGUF file, or a folder as transformers saves it
      adapter/…             a LoRA over the weights
      calibration.json      what turns this student's signals into confidence

The folder's name ends with the hash of `release.json`: a changed byte anywhere is noticed when it
is read. What the calibration says is the gateway's business; here it is a file.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from serving.checked import Checked
from serving.errors import ServingError
from serving.wheel import sha256_of

MANIFEST = "release.json"
_ID_DIGITS = 12
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ReleaseName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]


class BrokenRelease(ServingError):
    """It is not what was released; the text names the file."""

    def __init__(self, where: Path, problem: str) -> None:
        super().__init__(f"{where}: {problem}; it is not used: add the release again")


class File(Checked):
    """`path`: within the folder, with slashes."""

    path: str
    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]


class Student(Checked):
    """Paths are within the folder. `sha256`: of weights and adapter together, see `student_hash`.

    kind: "gguf" is a file for llama.cpp, "folder" is what transformers saves, for vLLM.
    quantization: None where nobody said.
    """

    kind: Literal["gguf", "folder"]
    weights: str
    adapter: str | None = None
    quantization: str | None = None
    sha256: Sha256


class Gate(Checked):
    """The threshold that was chosen on this student, and the reading that it was chosen for."""

    threshold: Annotated[float, Field(gt=0, le=1)]
    signal: str = "mean_probability"
    """As in a route's `gate.signal`; "calibrated": by the release's own calibration."""
    label: str | None = None
    window_tokens: Annotated[int, Field(ge=1)] = 24


class Manifest(Checked):
    schema_version: Literal[1] = 1
    name: ReleaseName
    student: Student
    gate: Gate | None = None
    calibration: str | None = None
    provenance: Mapping[str, JsonValue] = Field(default_factory=dict)
    files: tuple[File, ...]

    def bytes(self) -> bytes:
        """As it is written and hashed."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def id(self) -> str:
        return f"{self.name}-{hashlib.sha256(self.bytes()).hexdigest()[:_ID_DIGITS]}"


@dataclass(frozen=True, slots=True)
class Release:
    """Read, and found to be what was released."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def weights(self) -> Path:
        return self.folder / self.manifest.student.weights

    @property
    def adapter(self) -> Path | None:
        path = self.manifest.student.adapter
        return self.folder / path if path is not None else None

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.manifest.files)

    def facts(self) -> dict[str, JsonValue]:
        """What a gateway has to know of it, as JSON."""
        gate, path = self.manifest.gate, self.manifest.calibration
        calibration = None
        if path is not None:
            calibration = read_calibration((self.folder / path).read_bytes(), self.folder / path)
        return {
            "student_sha256": self.manifest.student.sha256,
            "gate": gate.model_dump(mode="json") if gate is not None else None,
            "calibration": calibration,
        }


def read_release(folder: Path, *, contents: bool = True) -> Release:
    """Raises `BrokenRelease`. contents: False looks at names and sizes alone, which is quick."""
    path = folder / MANIFEST
    try:
        written = path.read_bytes()
        manifest = Manifest.model_validate_json(written)
    except OSError as error:
        raise BrokenRelease(path, f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BrokenRelease(path, f"is no manifest: {error.errors()[0]['msg']}") from error
    digest = hashlib.sha256(written).hexdigest()
    if folder.name != f"{manifest.name}-{digest[:_ID_DIGITS]}":
        raise BrokenRelease(path, f"has hash {digest[:_ID_DIGITS]}, which its folder does not name")
    _must_be_as_listed(folder, manifest, contents=contents)
    return Release(folder, manifest)


def _must_be_as_listed(folder: Path, manifest: Manifest, *, contents: bool) -> None:
    listed = {file.path: file for file in manifest.files}
    there = {path.relative_to(folder).as_posix() for path in files_in(folder)} - {MANIFEST}
    for name in sorted(listed.keys() ^ there):
        problem = "is missing" if name in listed else "is not part of the release"
        raise BrokenRelease(folder / name, problem)
    for name, file in listed.items():
        path = folder / name
        size = path.stat().st_size
        if size != file.bytes:
            raise BrokenRelease(path, f"has {size} bytes, released were {file.bytes}")
        if contents and (found := sha256_of(path)) != file.sha256:
            raise BrokenRelease(path, f"has sha256 {found[:12]}…, released was {file.sha256[:12]}…")
    parts = (manifest.student.weights, manifest.student.adapter)
    for part in (each for each in parts if each is not None):
        if not any(_is_of(file, part) for file in manifest.files):
            raise BrokenRelease(folder / MANIFEST, f"{part} is none of its files")
    if student_hash(manifest.student, manifest.files) != manifest.student.sha256:
        raise BrokenRelease(folder / MANIFEST, "names another student than its files are")


def student_hash(student: Student, files: tuple[File, ...]) -> str:
    """Of all that makes the student's tokens: the hashes of its files under their names within
    weights and adapter. What it is called, and what was measured on it, is not in it.
    """
    told = hashlib.sha256()
    for role, place in (("weights", student.weights), ("adapter", student.adapter)):
        for file in sorted(files, key=lambda each: each.path):
            if place is not None and _is_of(file, place):
                inner = file.path.removeprefix(place)
                told.update(f"{role}{inner}\0{file.sha256}\n".encode())
    return told.hexdigest()


def _is_of(file: File, place: str) -> bool:
    return file.path == place or file.path.startswith(f"{place}/")


def read_calibration(written: bytes, where: Path) -> dict[str, JsonValue]:
    """Raises `BrokenRelease` for what is no JSON object."""
    try:
        return _OBJECT.validate_json(written)
    except ValidationError as error:
        raise BrokenRelease(where, "is no JSON object, as a calibration is") from error


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below, in order."""
    return (path for path in sorted(folder.rglob("*")) if not path.is_dir())


_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
