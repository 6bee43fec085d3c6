"""What stands beside a figure: the processor, the interpreter, the commit."""

import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec

HERE = Path(__file__).parent


class Machine(msgspec.Struct, frozen=True):
    """`python` names the interpreter that ran the gateway, and whether it was built with PGO."""

    processor: str
    system: str
    python: str
    commit: str

    def __str__(self) -> str:
        return f"{self.processor}; {self.system}; {self.python}; commit {self.commit}"


def this_machine() -> Machine:
    built = build(sysconfig.get_config_var("CONFIG_ARGS"), sys.base_prefix)
    return Machine(
        processor=processor(Path("/proc/cpuinfo")),
        system=f"{platform.system()} {platform.release()}",
        python=f"Python {platform.python_version()}, {built}",
        commit=commit(),
    )


def processor(cpuinfo: Path) -> str:
    """The cores and the name of the processor."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()


def build(configure_arguments: str | None, prefix: str) -> str:
    """How an interpreter was optimised, from what its `configure` was told. A distribution's own
    packages profile it by other means, which its `configure` does not know of.
    """
    if prefix == "/usr":
        return "the distribution's"
    told = configure_arguments or ""
    if sys.platform == "win32" or "--enable-optimizations" in told:
        return "with PGO" + (" and LTO" if "--with-lto" in told else "")
    return "without PGO"


def commit() -> str:
    """This checkout's, marked where it has changes that are not committed."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"
