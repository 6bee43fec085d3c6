"""Environments of their own for jobs whose packages do not go together with ours, or one another.

Made once under `TUTELAGE_HOME/environments` by this Python's `venv` and that environment's own pip
(so your mirror and your proxy hold), from a file that pins every package; made anew when that file
changes.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving import lifeline
from serving.errors import JobFailed
from serving.progress import Progress

_TELL_EVERY_S = 20.0
_LAST_LINES = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """`requirements`: a pip requirements file; `gigabytes`: on disk, to be told beforehand."""

    name: str
    requirements: Path
    gigabytes: float

    @property
    def digest(self) -> str:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return hashlib.sha256(self.requirements.read_bytes() + version.encode()).hexdigest()[:12]


class Jobs:
    """Makes environments and runs commands in them, each tied to this process's life."""

    def __init__(
        self,
        environments: Path,
        *,
        logs: Path,
        env: Mapping[str, str],
        progress: Progress,
        make_venv: Sequence[str] = (sys.executable, "-m", "venv"),
    ) -> None:
        self._environments, self._logs, self._env = environments, logs, env
        self._progress, self._make_venv = progress, tuple(make_venv)

    def environment(self, recipe: Recipe) -> Path:
        """The Python of an environment that is made now if it is not there. Raises `JobFailed`."""
        folder = self._environments / f"{recipe.name}-{recipe.digest}"
        python, made = folder / "bin" / "python", folder / ".made"
        if made.is_file():
            return python
        self._environments.mkdir(parents=True, exist_ok=True)
        with (self._environments / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if made.is_file():  # another process was faster
                return python
            self._progress.say(
                f"making an environment for {recipe.name} in {folder} "
                f"({recipe.gigabytes:g} GB, once)"
            )
            shutil.rmtree(folder, ignore_errors=True)
            install = [
                *(str(python), "-m", "pip", "install", "--disable-pip-version-check"),
                *("--no-input", "--progress-bar", "off", "--requirement"),
                str(recipe.requirements),
            ]
            name = f"environment-{recipe.name}"
            self.run(name, [*self._make_venv, str(folder)])
            self.run(name, install, fix=f"try it by hand: {' '.join(install)}")
            made.touch()
        return python

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        fix: str = "",
    ) -> None:
        """To its end, its output in a log, of which the last line is told from time to time.

        Raises `JobFailed` with the log's last lines, and `fix`.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            try:
                running = lifeline.start(command, output=output, env={**self._env, **(env or {})})
            except lifeline.CannotStart as error:
                raise JobFailed(name, str(error), log=log, last_lines="  (no log)") from error
        try:
            status = self._watch(name, running.wait, log)
        except BaseException:
            running.stop(grace_s=2.0)
            raise
        if status:
            how = f"ended with status {status}" + (f"; {fix}" if fix else "")
            raise JobFailed(name, how, log=log, last_lines=_tail(log, _LAST_LINES))

    def _watch(self, name: str, wait: Callable[[float], int | None], log: Path) -> int:
        waited_s = 0.0
        while (status := wait(_TELL_EVERY_S)) is None:
            waited_s += _TELL_EVERY_S
            self._progress.say(f"{name}: {waited_s:.0f} s: {_tail(log, 1).strip()[:100]}")
        return status


def _tail(log: Path, lines: int) -> str:
    """Progress bars write one line over and over: only its last state counts."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
        text = file.read().decode("utf-8", errors="replace")
    told = [line.rpartition("\r")[2].strip() for line in text.split("\n") if line.strip()]
    return "\n".join(f"  {line}" for line in told[-lines:] if line) or "  (the log is empty)"
