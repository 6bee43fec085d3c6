"""The releases of this machine: one folder each, added whole or not at all, and who is current.

$TUTELAGE_HOME/releases/
  triage-3f2a9c1b77de/        see `serving.release`
  current/triage -> ../triage-3f2a9c1b77de
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue, ValidationError

from serving.deployment import explain
from serving.errors import ServingError
from serving.release import (
    MANIFEST,
    BrokenRelease,
    File,
    Gate,
    Manifest,
    Release,
    Student,
    files_in,
    read_calibration,
    read_release,
    student_hash,
)
from serving.wheel import sha256_of

CURRENT = "current"
_PART = ".part-"
_READ_ONLY = 0o444


class CannotRelease(ServingError):
    """What was given is no student, or does not belong together; the text says what to change."""


class NoSuchRelease(ServingError):
    """The text names those that there are."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a release is to be made of. weights: a GGUF file or a folder; adapter: its LoRA."""

    name: str
    weights: Path
    adapter: Path | None = None
    quantization: str | None = None
    """None: as the weights' own config.json says."""
    gate: Gate | None = None
    calibration: Path | None = None
    provenance: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Releases:
    """The folder `root`, which need not be there yet."""

    root: Path

    def add(self, draft: Draft, *, link: bool = False) -> Release:
        """Copies, hashes, and puts in place by one rename; the same again is the same release.

        link: hard links in place of copies, for files that nobody writes into any more.
        Raises `CannotRelease`, and `BrokenRelease` where one of that id is there and damaged.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=self.root))
        try:
            manifest = _gathered(draft, part, link=link)
            (part / MANIFEST).write_bytes(manifest.bytes())
            for path in files_in(part):
                if not link or path.name == MANIFEST:
                    path.chmod(_READ_ONLY)
            target = self.root / manifest.id
            if not target.exists():
                part.chmod(0o755)  # a temporary folder is for its owner alone
                part.rename(target)
            return read_release(target)
        except OSError as error:
            raise CannotRelease(f"{draft.name}: {error}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def get(self, name: str, *, contents: bool = True) -> Release:
        """By its id, or by a beginning of it that no other has. contents: see `read_release`.

        Raises `NoSuchRelease`, `BrokenRelease`.
        """
        return read_release(self.root / self.find(name), contents=contents)

    def find(self, name: str) -> str:
        """The id that `name` is or begins. Raises `NoSuchRelease`."""
        ids = [folder.name for folder in self._folders()]
        found = [each for each in ids if each == name] or [
            each for each in ids if name and each.startswith(name)
        ]
        if len(found) == 1:
            return found[0]
        why = f"could be {' or '.join(found)}" if found else f"there is {', '.join(ids) or 'none'}"
        raise NoSuchRelease(f"release {name!r}: {why} (in {self.root})")

    def all(self) -> Iterator[Release | BrokenRelease]:
        """In the order in which they came; looked at by names and sizes alone."""
        for folder in sorted(self._folders(), key=lambda each: each.stat().st_mtime):
            try:
                yield read_release(folder, contents=False)
            except BrokenRelease as broken:
                yield broken

    def point(self, route: str, release: str | None) -> None:
        """`current/ROUTE`, for people and scripts: replaced in one step, or taken away."""
        place = self.root / CURRENT / route
        place.parent.mkdir(parents=True, exist_ok=True)
        if release is None:
            place.unlink(missing_ok=True)
            return
        new = place.with_name(f".{route}.{os.getpid()}")
        with suppress(FileNotFoundError):
            new.unlink()
        new.symlink_to(Path("..") / release)
        new.replace(place)

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in self.root.glob(f"[!.]*/{MANIFEST}"))


def _gathered(draft: Draft, part: Path, *, link: bool) -> Manifest:
    """Everything copied into `part`, and the manifest that says so."""
    kind, weights = _placed(draft.weights, part / "weights", link=link)
    adapter = None
    if draft.adapter is not None:
        adapter_kind, adapter = _placed(draft.adapter, part / "adapter", link=link)
        if adapter_kind != kind:
            raise CannotRelease(
                f"{draft.adapter}: an adapter of the other kind: GGUF files go with llama.cpp, "
                "folders with vLLM"
            )
    files = tuple(_file(path, part) for path in files_in(part))
    quantization = draft.quantization or _quantization(draft.weights)
    try:
        student = Student(
            kind="gguf" if kind == "gguf" else "folder",
            weights=weights,
            adapter=adapter,
            quantization=quantization,
            sha256="0" * 64,
        )
        student = student.model_copy(update={"sha256": student_hash(student, files)})
        calibration = _calibration(draft, student, part)
        if calibration is not None:
            files = (*files, calibration)
        return Manifest(
            name=draft.name,
            student=student,
            gate=draft.gate,
            calibration=calibration.path if calibration is not None else None,
            provenance=draft.provenance,
            files=tuple(sorted(files, key=lambda file: file.path)),
        )
    except ValidationError as error:
        raise CannotRelease(f"release {draft.name!r}: {explain(error)}") from error


def _placed(source: Path, place: Path, *, link: bool) -> tuple[str, str]:
    """Its kind, and its path within the release."""
    if source.is_file():
        if source.suffix != ".gguf":
            raise CannotRelease(f"{source}: a single file is a .gguf one; else give the folder")
        _copy(source, place / source.name, link=link)
        return "gguf", f"{place.name}/{source.name}"
    if not (source / "config.json").is_file() and not (source / "adapter_config.json").is_file():
        raise CannotRelease(
            f"{source}: neither a .gguf file nor a folder with config.json (or, of an adapter, "
            "adapter_config.json)"
        )
    for path in files_in(source):
        inner = path.relative_to(source)
        if not any(name.startswith(".") for name in inner.parts):
            _copy(path, place / inner, link=link)
    return "folder", place.name


def _copy(source: Path, target: Path, *, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        with suppress(OSError):  # another file system, or one without links
            os.link(source.resolve(), target)
            return
    shutil.copyfile(source, target)


def _file(path: Path, part: Path) -> File:
    return File(
        path=path.relative_to(part).as_posix(), sha256=sha256_of(path), bytes=path.stat().st_size
    )


def _calibration(draft: Draft, student: Student, part: Path) -> File | None:
    """Copied. Raises `CannotRelease` for one that was fitted on another student."""
    if draft.calibration is None:
        return None
    written = draft.calibration.read_bytes()
    said = read_calibration(written, draft.calibration).get("student_sha256")
    if said != student.sha256:
        whose = f"student {said!r}" if said is not None else "no student that it names"
        raise CannotRelease(
            f"{draft.calibration}: student_sha256: fitted on {whose}, these weights are "
            f"{student.sha256!r}: a calibration belongs to the student it was fitted on"
        )
    path = part / "calibration.json"
    path.write_bytes(written)
    return File(path=path.name, sha256=hashlib.sha256(written).hexdigest(), bytes=len(written))


def _quantization(weights: Path) -> str | None:
    """As config.json of a quantized model tells it."""
    try:
        config = json.loads((weights / "config.json").read_bytes())
        told = config["quantization_config"]["quant_method"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told, str) else None
