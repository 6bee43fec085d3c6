"""Which engines run: the state file of every `tutelage up`, as `tutelage engines ls` reads it."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EngineRow(_Row):
    """One engine as its supervisor last saw it."""

    name: str
    state: str
    pid: int | None
    host: str
    port: int
    model: str
    log: Path
    since: datetime
    """When it came into this state."""


class RosterFile(_Row):
    """One `tutelage up`."""

    up_pid: int
    gateway_url: str
    gateway_pid: int | None
    engines: tuple[EngineRow, ...]


@dataclass(frozen=True, slots=True)
class Roster:
    """State files in one folder, named after the process that writes them."""

    folder: Path

    def write(self, file: RosterFile) -> None:
        """Replaces this process's file, whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self._path(file.up_pid).with_suffix(".part")
        part.write_text(file.model_dump_json(indent=2), encoding="utf-8")
        part.replace(self._path(file.up_pid))

    def forget(self, up_pid: int) -> None:
        """Nothing of it runs any more."""
        self._path(up_pid).unlink(missing_ok=True)

    def read(self) -> Iterator[RosterFile]:
        """The ones whose `up` is alive; files of those that were killed are removed."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                file = RosterFile.model_validate_json(path.read_bytes())
            except (FileNotFoundError, ValidationError):  # ended just now, or another version's
                continue
            if _is_alive(file.up_pid):
                yield file
            else:
                path.unlink(missing_ok=True)

    def _path(self, up_pid: int) -> Path:
        return self.folder / f"{up_pid}.json"


def resident_bytes(pid: int) -> int | None:
    """Memory a process holds, or None if it is gone or the system does not tell."""
    try:
        statm = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        pass
    try:  # macOS
        told = subprocess.run(  # noqa: S603
            ["/bin/ps", "-o", "rss=", "-p", str(pid)],
            capture_output=True,
            check=True,
            text=True,
        )
        return int(told.stdout) * 1024
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
