"""What a server used so far: CPU seconds and memory, those of threads and children included."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_FIELD = re.compile(r"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)


class Usage(NamedTuple):
    """`rss_mb` is what it holds now, `peak_mb` the most that each process ever held, summed."""

    cpu_s: float
    rss_mb: float
    peak_mb: float


class Process(NamedTuple):
    """The part of /proc/PID/stat that is read. `ticks`: children that ended included."""

    pid: int
    parent: int
    group: int
    ticks: int


def usage(pid: int, proc: Path = PROC) -> Usage:
    """Of the process `pid`, of its process group and of all their descendants."""
    family = family_of(pid, processes(proc))
    memory = [memory_kb(proc / str(one.pid) / "status") for one in family]
    return Usage(
        cpu_s=sum(one.ticks for one in family) / os.sysconf("SC_CLK_TCK"),
        rss_mb=sum(now for now, _ in memory) / 1024,
        peak_mb=sum(peak for _, peak in memory) / 1024,
    )


def processes(proc: Path) -> list[Process]:
    found = []
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                found.append(parse_stat((folder / "stat").read_text()))
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                continue
    return found


def parse_stat(text: str) -> Process:
    """A line of /proc/PID/stat; the name in its second field may hold spaces and brackets."""
    before, _, after = text.rpartition(")")
    fields = after.split()  # the first is field 3 of proc(5)
    user, system, waited_user, waited_system = fields[11:15]
    return Process(
        pid=int(before.partition(" ")[0]),
        parent=int(fields[1]),
        group=int(fields[2]),
        ticks=int(user) + int(system) + int(waited_user) + int(waited_system),
    )


def family_of(pid: int, everyone: Iterable[Process]) -> list[Process]:
    family: list[Process] = []
    others = list(everyone)
    known = {pid}
    while True:
        more = [
            one for one in others if one.pid in known or one.group == pid or one.parent in known
        ]
        if not more:
            return family
        family += more
        known |= {one.pid for one in more}
        others = [one for one in others if one.pid not in known]


def memory_kb(status: Path) -> tuple[int, int]:
    """Resident now, and at the most."""
    try:
        found = dict(_FIELD.findall(status.read_text()))
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return int(found.get("VmRSS", 0)), int(found.get("VmHWM", 0))
