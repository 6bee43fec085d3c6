"""Is a port free, and which one is."""

import socket
from pathlib import Path


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now (connections in TIME_WAIT do not count)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def pick_free_port(host: str) -> int:
    """One the system calls free; another process may take it first, which the start then tells."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def who_listens(port: int, proc: Path = Path("/proc")) -> str | None:
    """Its pid and command, where the system tells us: on Linux, of one's own processes."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    for link in proc.glob("[0-9]*/fd/*") if sockets else ():
        try:
            if str(link.readlink()) not in sockets:
                continue
            command = (link.parent.parent / "cmdline").read_bytes()
        except OSError:  # ended just now, or somebody else's
            continue
        words = " ".join(command.decode(errors="replace").split("\0")).strip()
        return f"pid {link.parent.parent.name} ({words[:80]})"
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    listening, inode_column = "0A", 9
    inodes = set()
    for table in (proc / "net" / "tcp", proc / "net" / "tcp6"):
        try:
            rows = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for columns in (row.split() for row in rows):
            local, state = columns[1], columns[3]
            if state == listening and int(local.rpartition(":")[2], 16) == port:
                inodes.add(columns[inode_column])
    return inodes
