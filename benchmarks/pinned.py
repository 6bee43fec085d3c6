"""Runs a command on one core, with as many open files as the system allows.

    python pinned.py CORE COMMAND…

It becomes the command, so there is one process, and all its threads and children stay on that core.
"""

import os
import resource
import sys
from collections.abc import Sequence


def pinned(core: int, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` so."""
    return [sys.executable, __file__, str(core), *argv]


def main(core: str, *command: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.platform == "linux":  # elsewhere the scheduler does as it likes
        os.sched_setaffinity(0, {int(core)})
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
