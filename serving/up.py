"""`tutelage up`, told downward: models, engines, gateway, endpoint, tour, then serve until Ctrl-C.

Whatever ends it, everything it started ends too, gateway first: in order when it is asked to stop
(`ExitStack`), and by `serving.lifeline` when it is killed.
"""

import importlib.util
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx
from rich.console import Console

from serving import embedded
from serving.command import usable_cores
from serving.deployment import Deployment, read_deployment
from serving.engine import Engine
from serving.errors import BadConfig, PortTaken, ServingError
from serving.home import Home
from serving.ports import port_is_free
from serving.prepare import prepare
from serving.process import Process
from serving.roster import EngineRow, Roster, RosterFile
from serving.screen import Screen
from serving.supervisor import Change, State, Supervisor
from serving.tour import Guide, Tour, choose, columns, coverage
from serving.tour_table import TourTable, honesty, scoreboard
from serving.triage.task import messages

GATEWAY_READY_WITHIN_S = 60.0

GATEWAY_GRACE_S = 6.0
"""For requests in flight when it is told to stop; longer streams are cut."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for."""

    config: Path | None = None
    port: int | None = None
    tour_size: int = 36
    """0 is no tour."""


def run(wishes: Wishes, *, env: Mapping[str, str], console: Console) -> int:
    """Exit status: 0 after Ctrl-C or SIGTERM, 1 after an error, which is printed."""
    screen = Screen(console, clock=time.monotonic)
    try:
        with _signals_interrupt(), ExitStack() as story:
            _up(wishes, Home.of(env), env=env, screen=screen, story=story)
    except KeyboardInterrupt:
        screen.say("stopped; nothing is left running")
        return 0
    except ServingError as error:
        screen.fail(str(error))
        return 1
    finally:
        screen.rest()


def _up(
    wishes: Wishes, home: Home, *, env: Mapping[str, str], screen: Screen, story: ExitStack
) -> NoReturn:
    deployment = _deployment(wishes, home, screen)
    _port_must_be_free(deployment.host, deployment.port, chosen=wishes.config)

    screen.step(f"engines: {', '.join(s.name for s in deployment.engines) or 'none here'}")
    engines = _engines(deployment, home, env)
    running = _Running(engines, deployment, Roster(home.run), screen)
    story.callback(running.forget)
    supervisor = Supervisor(engines, on_change=running.note)
    story.callback(supervisor.stop)
    supervisor.start()

    screen.step("gateway")
    gateway = _gateway(deployment, home, env)
    story.callback(gateway.stop)
    story.callback(screen.say, "stopping the gateway, then the engines")
    gateway.start()
    took_s = gateway.wait_ready(lambda: _is_ready(deployment.url), timeout_s=GATEWAY_READY_WITHIN_S)
    running.gateway_is(gateway.pid)
    screen.say(f"ready in {took_s:.1f} s; log: {gateway.log}")
    _show_endpoint(deployment, screen)

    if wishes.tour_size and _is_embedded(deployment):
        _tour(wishes.tour_size, deployment, gateway, screen)
    screen.step(f"serving on {deployment.url}/v1 until Ctrl-C")
    raise gateway.death(gateway.wait() or 0)


def _deployment(wishes: Wishes, home: Home, screen: Screen) -> Deployment:
    if wishes.config is not None:
        if wishes.port is not None:
            raise BadConfig("--port", f"with --config, set [server] port in {wishes.config}")
        return read_deployment(wishes.config)
    port = wishes.port or embedded.DEFAULT_PORT
    _port_must_be_free("127.0.0.1", port, chosen=None)  # before minutes of downloading
    models = prepare(home, screen)
    return read_deployment(embedded.write_config(home, models, port=port))


def _engines(deployment: Deployment, home: Home, env: Mapping[str, str]) -> list[Engine]:
    if deployment.engines and importlib.util.find_spec("xllamacpp") is None:
        raise BadConfig(
            f"{deployment.config}: [engines]",
            f"llama.cpp is not installed; run `{sys.executable} -m pip install 'tutelage[local]'`",
        )
    # llama.cpp's threads meet at a spinning barrier many times a token: one that has to wait for
    # a core makes all wait, ten times slower and more. So engines share the cores out.
    share = max(1, usable_cores() // max(1, len(deployment.engines)))
    return [Engine(spec, logs=home.logs, env=env, cores=share) for spec in deployment.engines]


def _gateway(deployment: Deployment, home: Home, env: Mapping[str, str]) -> Process:
    """The gateway is a command to us: nothing of it is imported."""
    return Process(
        "gateway",
        (
            *(sys.executable, "-P", "-m", "gateway.commands"),
            *("gateway", "--config", str(deployment.config)),
        ),
        env={**env, "PYTHONUNBUFFERED": "1"},
        log=home.logs / f"gateway-{deployment.port}.log",
        grace_s=GATEWAY_GRACE_S,
    )


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5.0).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _show_endpoint(deployment: Deployment, screen: Screen) -> None:
    route = next(iter(deployment.routes), embedded.ROUTE)
    asked = "The battery died after two days and nobody answers my mails."
    chat = messages(asked) if route == embedded.ROUTE else [{"role": "user", "content": "Hi"}]
    body = json.dumps({"model": route, "messages": chat, "temperature": 0})
    screen.console.print(
        f"\n  endpoint  [bold]{deployment.url}/v1[/bold]   model [bold]{route}[/bold]"
        f"   ([bold]{route}:student[/bold] and [bold]{route}:teacher[/bold] pin)\n"
    )
    screen.console.print(
        f"curl -i {deployment.url}/v1/chat/completions -H 'content-type: application/json' "
        f"-d {shlex.quote(body)}\n",
        soft_wrap=True,
        markup=False,
    )


def _is_embedded(deployment: Deployment) -> bool:
    """Whether the tour's questions make sense here: its route, with both roles."""
    return embedded.ROUTE in deployment.routes


def _tour(size: int, deployment: Deployment, gateway: Process, screen: Screen) -> None:
    questions = choose(size)
    size = len(questions)
    console = screen.console

    def gateway_alive() -> None:
        if (status := gateway.wait(0)) is not None:
            raise gateway.death(status)

    with httpx.Client(base_url=deployment.url) as http:
        guide = Guide(
            http=http,
            route=embedded.ROUTE,
            clock=time.monotonic,
            pause=time.sleep,
            gateway_alive=gateway_alive,
        )
        screen.step(f"tour: {size} held-out requests")
        guide.warm_up(questions[0])
        table = TourTable(console, size=size)
        cascade = []
        with table.shown():
            for question in questions:
                cascade.append(guide.cascade(question))
                table.add(cascade[-1])
        alone = {}
        for role in ("student", "teacher"):
            screen.say(f"the same {size} questions to the {role} alone")
            alone[role] = tuple(
                guide.pinned(question, role) for question in screen.counted(questions, role)
            )
    _sum_up(Tour(tuple(cascade), **alone), deployment, screen)


def _sum_up(tour: Tour, deployment: Deployment, screen: Screen) -> None:
    route = deployment.routes[embedded.ROUTE]
    ways = columns(
        tour, student=deployment.prices[route.student], teacher=deployment.prices[route.teacher]
    )
    screen.console.print()
    screen.console.print(scoreboard(ways, coverage(tour.cascade)))
    if said := honesty(len(tour.cascade)):
        screen.console.print(said, highlight=False)
    screen.console.print()


def _port_must_be_free(host: str, port: int, *, chosen: Path | None) -> None:
    if port_is_free(host, port):
        return
    fix = "choose another with --port" if chosen is None else f"set [server] port in {chosen}"
    raise PortTaken(host, port, who="gateway", fix=fix)


class _Running:
    """Tells every change to the terminal and to the state file."""

    def __init__(
        self, engines: list[Engine], deployment: Deployment, roster: Roster, screen: Screen
    ) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self._url, self._roster, self._screen = deployment.url, roster, screen
        self._rows: dict[str, EngineRow] = {}
        self._gateway_pid: int | None = None
        self._lock = threading.Lock()

    def note(self, change: Change) -> None:
        """Called from the supervisor's threads."""
        engine = self._engines[change.name]
        if change.state not in {State.STOPPED, State.FAILED}:
            self._screen.say(f"engine {change.name}: {change.note.partition(chr(10))[0]}")
        with self._lock:
            self._rows[change.name] = EngineRow(
                name=change.name,
                state=change.state.value,
                pid=engine.pid,
                host=engine.spec.host,
                port=engine.spec.port,
                model=engine.spec.model,
                log=engine.log,
                since=datetime.now(UTC),
            )
            self._write()

    def gateway_is(self, pid: int | None) -> None:
        with self._lock:
            self._gateway_pid = pid
            self._write()

    def _write(self) -> None:
        self._roster.write(
            RosterFile(
                up_pid=os.getpid(),
                gateway_url=self._url,
                gateway_pid=self._gateway_pid,
                engines=tuple(self._rows.values()),
            )
        )

    def forget(self) -> None:
        self._roster.forget(os.getpid())


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP interrupt the story once; the way out is not interrupted again."""
    ordered = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in ordered:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ordered}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
