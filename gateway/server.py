"""Serve until told to stop; then finish what runs, and write down what is left."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from gateway import config
from gateway.adopting import Adopting
from gateway.app import make_app, open_services
from gateway.callers import Anyone, KeyHolders
from gateway.client_connection import client_connections
from gateway.clock import SystemClock
from gateway.duties import make_watch
from gateway.keys import Keyring, KeyringError
from gateway.ledger import Ledger, new_memory
from gateway.listening import PortTaken
from gateway.location import UnknownStore, default_state, store_path
from gateway.metrics import Metrics, zero_gauges
from gateway.release_adopting import ReleaseAdopting, canaries
from gateway.release_state import ReleaseState
from gateway.rulings import Rulings, RulingsError
from gateway.traces import open_writer
from gateway.traces.reading import find_trace
from gateway.traces.schema import connect_writer
from gateway.traces.store import TraceStoreError
from gateway.workers import Workers
from router.calibration import StaleCalibration

log = logging.getLogger(__name__)

_GC_THRESHOLDS = (20_000, 20, 20)
"""The default, 700 allocations, is reached every dozen requests."""

CANNOT_START = (
    config.ConfigError,
    KeyringError,
    PortTaken,
    RulingsError,
    StaleCalibration,
    TraceStoreError,
    UnknownStore,
)
"""What is wrong with the machine or the config, not with the program."""

_GAUGES_EVERY_S = 1
_LAST_TRACES_S = 5.0
STOPS = (signal.SIGTERM, signal.SIGINT)


def run(
    settings: config.Settings, listeners: Sequence[socket.socket], *, store: str, keys: Path
) -> int:
    """A process for each listener, until SIGTERM or SIGINT; the exit status.

    Raises one of CANNOT_START.
    """
    if len(listeners) == 1:
        _run_one(settings, listeners[0], store=store, keys=keys, metrics=Metrics())
        return 0
    _prepare(settings, store=store, keys=keys)
    memories = [new_memory() for _ in listeners]
    share = share_of(settings, len(listeners))

    def work(number: int, ready: Callable[[], None]) -> int:
        ledgers = [Ledger(memory) for memory in memories]
        own, listener = ledgers.pop(number), listeners[number]
        try:
            _run_one(
                share,
                listener,
                store=store,
                keys=keys,
                metrics=Metrics(own, siblings=ledgers),
                ready=ready,
            )
        except CANNOT_START as error:
            log.error("%s", error)  # noqa: TRY400 - a sentence for the operator
            return 2
        return 0

    def bury(number: int) -> None:
        zero_gauges(Ledger(memories[number]))

    workers = Workers(
        work=work,
        listeners=listeners,
        grace_s=2 * settings.server.drain_s + _LAST_TRACES_S,
        on_death=bury,
    )
    return workers.run()


def share_of(settings: config.Settings, workers: int) -> config.Settings:
    """What one of several workers may take of the limits, which are meant for all of them; rounded
    up, since none can do with nothing.
    """

    def share(limit: int) -> int:
        return -(-limit // workers)

    server = settings.server
    upstreams, routes = settings.upstreams, settings.routes
    return settings.model_copy(
        update={
            "server": server.model_copy(
                update={
                    "max_in_flight": share(server.max_in_flight),
                    "max_queued": share(server.max_queued),
                }
            ),
            "upstreams": {
                name: each.model_copy(update={"max_in_flight": share(each.max_in_flight)})
                for name, each in upstreams.items()
            },
            "routes": {
                name: each.model_copy(
                    update={
                        "shadow": each.shadow.model_copy(
                            update={"max_in_flight": share(each.shadow.max_in_flight)}
                        )
                    }
                )
                for name, each in routes.items()
            },
        }
    )


def _prepare(settings: config.Settings, *, store: str, keys: Path) -> None:
    """What would fail in every worker fails here, once; files are made before they are shared."""
    config.secrets(settings)
    connect_writer(store_path(store)).close()
    if settings.server.auth == "keys":
        Keyring(keys).make()


def _settle() -> None:
    """What was imported stays, so the collector need not walk through it again and again; and a
    request's objects are gone before it would look at them, so it looks less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _run_one(
    settings: config.Settings,
    listener: socket.socket,
    *,
    store: str,
    keys: Path,
    metrics: Metrics,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """`serve` in an event loop of its own."""
    stop = _Stop()
    # uvicorn drains on these signals, then raises them again: by then we are on our way out anyway.
    for number in STOPS:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    _settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            serve(
                settings, listener, store=store, keys=keys, metrics=metrics, ready=ready, stop=stop
            )
        )


async def serve(
    settings: config.Settings,
    listener: socket.socket,
    *,
    store: str,
    keys: Path,
    metrics: Metrics,
    ready: Callable[[], None],
    stop: "_Stop",
) -> None:
    """Run the gateway on `listener` until SIGINT or SIGTERM; `ready` is called once it serves.

    Then: no new connections, requests in flight are finished (for `server.drain_s` at most), shadow
    work is waited for, traces are written.
    """
    clock = SystemClock()
    callers = KeyHolders(Keyring(keys), clock) if settings.server.auth == "keys" else Anyone()
    secrets = config.secrets(settings)
    traces = open_writer(store, settings.traces, clock=clock, on_outcome=metrics.traced)
    state = store_path(settings.server.state or default_state(os.environ))

    try:
        async with open_services(
            settings,
            traces,
            callers=callers,
            metrics=metrics,
            secrets=secrets,
            find_trace=partial(find_trace, store_path(store)),
            clock=clock,
        ) as on:
            app = make_app(on)
            releases = ReleaseAdopting(
                ReleaseState(state),
                on.routes,
                on.arms,
                unless=canaries(settings),
                tell=metrics.release_stands,
            )
            releases.start()
            adopting = Adopting(Rulings(state), on.routes)
            adopting.start()
            watch = make_watch(on, settings, store=store_path(store), state=state)

            async def each_second() -> None:
                metrics.read_gauges()
                releases.look()
                adopting.look()
                watch.look(on.background)

            server = _Server(
                uvicorn.Config(
                    app,
                    http=client_connections(app.hot, max_body_bytes=on.max_body_bytes),
                    lifespan="off",
                    access_log=False,
                    log_config=None,  # uvicorn's lines are written as ours
                    log_level="warning",
                    server_header=False,
                    proxy_headers=False,  # nobody here asks for a client's address
                    timeout_graceful_shutdown=round(settings.server.drain_s),
                    callback_notify=each_second,
                    timeout_notify=_GAUGES_EVERY_S,
                ),
                ready,
            )
            stop.of(server)
            with closing(watch):
                await server.serve(sockets=[listener])
    finally:
        await traces.aclose()


class _Server(uvicorn.Server):
    """Tells when it serves. Two Ctrl-C end it at once; one, with SIGTERM from the parent process
    before or after it, does not.
    """

    def __init__(self, settings: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(settings)
        self._ready = ready
        self._interrupts = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del frame
        log.info("stopping on %s", signal.Signals(sig).name)
        self.should_exit = True
        self._interrupts += sig == signal.SIGINT
        self.force_exit = self._interrupts > 1


class _Stop:
    """The order to stop, for a server that may not be there yet."""

    def __init__(self) -> None:
        self._ordered = False
        self._server: uvicorn.Server | None = None

    def __call__(self, number: int, _frame: object) -> None:
        log.info("stopping on %s", signal.Signals(number).name)
        self._ordered = True
        if self._server is not None:
            self._server.should_exit = True

    def of(self, server: uvicorn.Server) -> None:
        self._server = server
        server.should_exit = self._ordered
