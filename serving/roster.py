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

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class RosterFile(_Row):
    """One `tutelage up`, or one `tutelage engines up`, which has no gateway."""

    up_pid: int
    gateway_url: str | None
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
            if is_alive(file.up_pid):
                yield file
            else:
                path.unlink(missing_ok=True)

    def _path(self, up_pid: int) -> Path:
        return self.folder / f"{up_pid}.json"


def resident_bytes(group: int) -> int | None:
    """Memory that a process group holds, or None if it is gone or the system does not tell.

    Pages that its processes share are counted for each.
    """
    if not Path("/proc/self/stat").is_file():
        return _told_by_ps(group)
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything: state, parent, group.
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            if int(stat.rpartition(")")[2].split()[2]) == group:
                pages += int((folder / "statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):  # ended just now
            continue
    return pages * _PAGE_BYTES or None


def _told_by_ps(group: int) -> int | None:
    told = subprocess.run(
        ["/bin/ps", "-A", "-o", "pgid=,rss="], capture_output=True, check=False, text=True
    )
    rows = [line.split() for line in told.stdout.splitlines()]
    kib = sum(int(row[1]) for row in rows if row[0] == str(group))
    return kib * 1024 or None


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
