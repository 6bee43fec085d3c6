"""Serve until told to stop; then finish what runs, and write down what is left."""

import asyncio
import logging
import signal
import socket
from pathlib import Path

import uvicorn
import uvloop

from gateway import config
from gateway.app import make_app, open_services
from gateway.callers import Anyone, KeyHolders
from gateway.clock import SystemClock
from gateway.keys import Keyring, KeyringError
from gateway.location import UnknownStore
from gateway.metrics import Metrics
from gateway.traces import open_writer
from gateway.traces.store import TraceStoreError

_BACKLOG = 2048

log = logging.getLogger(__name__)


class PortTaken(Exception):
    """The address cannot be listened on; the message names the fix."""


CANNOT_START = (config.ConfigError, PortTaken, KeyringError, TraceStoreError, UnknownStore)
"""What is wrong with the machine or the config, not with the program."""


def listen(server: config.Server) -> socket.socket:
    """Listen before anything else starts: a taken port is told at once, early clients wait."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    # The protocol must be named: asyncio sets TCP_NODELAY only where it is, and Nagle's algorithm
    # with delayed acknowledgements costs 40 ms a response.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((server.host, server.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"server.port = {server.port}: cannot listen on {server.host}:{server.port} "
            f"({error.strerror}); choose another with --port"
        ) from error
    return listener


async def serve(
    settings: config.Settings, listener: socket.socket, *, store: str, keys: Path
) -> None:
    """Run the gateway on `listener` until SIGINT or SIGTERM.

    Then: no new connections, requests in flight are finished (for `server.drain_s` at most), shadow
    work is waited for, traces are written.
    """
    clock, metrics = SystemClock(), Metrics()
    callers = KeyHolders(Keyring(keys), clock) if settings.server.auth == "keys" else Anyone()
    secrets = config.secrets(settings)
    traces = open_writer(store, settings.traces, clock=clock, on_outcome=metrics.traced)
    try:
        async with open_services(
            settings, traces, callers=callers, metrics=metrics, secrets=secrets, clock=clock
        ) as on:
            server = uvicorn.Server(
                uvicorn.Config(
                    make_app(on),
                    http="httptools",
                    lifespan="off",
                    access_log=False,
                    log_level="warning",
                    server_header=False,
                    timeout_graceful_shutdown=round(settings.server.drain_s),
                )
            )
            await server.serve(sockets=[listener])
    finally:
        await traces.aclose()


def run(settings: config.Settings, listener: socket.socket, *, store: str, keys: Path) -> None:
    """`serve` in an event loop of its own."""
    # uvicorn drains on these signals, then raises them again: by then we are on our way out anyway.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _already_leaving)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listener, store=store, keys=keys))


def _already_leaving(number: int, _frame: object) -> None:
    log.info("stopping on %s", signal.Signals(number).name)
