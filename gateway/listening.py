"""The sockets the gateway listens on: one for each of its processes, all on one port."""

import socket
import sys

from gateway import config

_BACKLOG = 2048


class PortTaken(Exception):
    """The address cannot be listened on; the message names the fix."""


def listen(server: config.Server) -> socket.socket:
    """Listen before anything else starts: a taken port is told at once, early clients wait."""
    return listen_together(server, 1)[0]


def listen_together(server: config.Server, count: int) -> list[socket.socket]:
    """`count` sockets on one port, among which the kernel spreads the connections.

    Each has a queue of its own: what waits in it when its process dies is served by the process
    that takes over. Where the kernel spreads nothing (not Linux), they share one queue.
    """
    sockets: list[socket.socket] = []
    try:
        # The first one is bound alone, so that another program's port is not shared by accident.
        sockets.append(_bound(server.host, server.port))
        spread = sys.platform == "linux" and count > 1
        if spread:
            sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        port = sockets[0].getsockname()[1]
        while len(sockets) < count:
            sockets.append(_bound(server.host, port, shared=True) if spread else sockets[0].dup())
        for each in sockets:
            each.listen(_BACKLOG)
    except OSError as error:
        for each in sockets:
            each.close()
        raise PortTaken(
            f"server.port = {server.port}: cannot listen on {server.host}:{server.port} "
            f"({error.strerror}); choose another with --port"
        ) from error
    return sockets


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: asyncio sets TCP_NODELAY only where it is, and Nagle's algorithm
    # with delayed acknowledgements costs 40 ms a response.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made
