"""`tutelage up`, told downward: models, engines, gateway, endpoint, tour, then serve until Ctrl-C.

Whatever ends it, everything it started ends too, gateway first: in order when it is asked to stop
(`ExitStack`), and by `serving.lifeline` when it is killed.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from serving import embedded
from serving.deployment import Deployment, read_deployment, state_path
from serving.errors import BadConfig, PortTaken
from serving.fleet import engine_beside, engines_of
from serving.gateway_child import GatewayChild, gateway_must_accept
from serving.guided_tour import guided_tour
from serving.home import Home
from serving.ports import port_is_free
from serving.prepare import prepare
from serving.release_state import ReleaseState
from serving.releases import Releases
from serving.rollout import Rollout, as_current
from serving.rollout_plan import seats_of
from serving.roster import Roster
from serving.running import Running
from serving.screen import Screen
from serving.story import to_its_end
from serving.supervisor import Supervisor
from serving.triage.task import messages


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for."""

    config: Path | None = None
    port: int | None = None
    tour_size: int = 36
    """0 is no tour."""


def run(wishes: Wishes, *, env: Mapping[str, str], console: Console) -> int:
    """Exit status: 0 after Ctrl-C or SIGTERM, 1 after an error, which is printed."""
    return to_its_end(
        console,
        lambda screen, story: _up(wishes, Home.of(env), env=env, screen=screen, story=story),
    )


def _up(
    wishes: Wishes, home: Home, *, env: Mapping[str, str], screen: Screen, story: ExitStack
) -> NoReturn:
    configured = _deployment(wishes, home, env, screen)
    releases = Releases(home.releases)
    state = ReleaseState(state_path(configured.state, home))
    deployment = as_current(configured, releases, state)
    _port_must_be_free(deployment.host, deployment.port, chosen=wishes.config)

    screen.step(f"engines: {', '.join(s.name for s in deployment.engines) or 'none here'}")
    engines = engines_of(deployment, logs=home.logs, env=env)
    running = Running(engines, gateway_url=deployment.url, roster=Roster(home.run), screen=screen)
    story.callback(running.forget)
    running.begin()
    supervisor = Supervisor(engines, on_change=running.engine_changed)
    story.callback(supervisor.stop)
    rollout = Rollout(
        seats_of(configured),
        releases,
        state,
        supervisor,
        running,
        partial(engine_beside, deployment, logs=home.logs, env=env),
        screen,
    )
    story.callback(rollout.stop)
    supervisor.start()
    rollout.begin(engines)

    screen.step("gateway")
    gateway = GatewayChild(deployment, logs=home.logs, env=env)
    story.callback(gateway.stop)
    story.callback(screen.say, "stopping the gateway, then the engines")
    took_s = gateway.start()
    running.gateway_is(gateway.pid)
    screen.say(f"ready in {took_s:.1f} s; log: {gateway.log}")
    rollout.start()
    _show_endpoint(deployment, screen)

    if wishes.tour_size and embedded.ROUTE in deployment.routes:
        guided_tour(
            wishes.tour_size, deployment, gateway_alive=gateway.must_be_alive, screen=screen
        )
    screen.step(f"serving on {deployment.url}/v1 until Ctrl-C")
    tutelage = Path(sys.executable).with_name("tutelage")
    screen.say(f"to watch it, in a second terminal: {tutelage} top --url {deployment.url}")
    raise gateway.wait_end()


def _deployment(wishes: Wishes, home: Home, env: Mapping[str, str], screen: Screen) -> Deployment:
    if wishes.config is not None:
        if wishes.port is not None:
            raise BadConfig("--port", f"with --config, set [server] port in {wishes.config}")
        deployment = read_deployment(wishes.config)
        gateway_must_accept(wishes.config, env)
        return deployment
    port = wishes.port or embedded.DEFAULT_PORT
    _port_must_be_free("127.0.0.1", port, chosen=None)  # before minutes of downloading
    models = prepare(home, screen)
    return read_deployment(embedded.write_config(home, models, port=port))


def _show_endpoint(deployment: Deployment, screen: Screen) -> None:
    route = next(iter(deployment.routes), embedded.ROUTE)
    asked = "The battery died after two days and nobody answers my mails."
    chat = messages(asked) if route == embedded.ROUTE else [{"role": "user", "content": "Hi"}]
    body = json.dumps({"model": route, "messages": chat, "temperature": 0})
    screen.console.print(
        f"\n  endpoint  [bold]{deployment.url}/v1[/bold]   model [bold]{route}[/bold]"
        f"   ([bold]{route}:student[/bold] and [bold]{route}:teacher[/bold] pin)\n",
        soft_wrap=True,
    )
    screen.console.print(
        f"curl -i {deployment.url}/v1/chat/completions -H 'content-type: application/json' "
        f"-d {shlex.quote(body)}\n",
        soft_wrap=True,
        markup=False,
    )


def _port_must_be_free(host: str, port: int, *, chosen: Path | None) -> None:
    if port_is_free(host, port):
        return
    fix = "choose another with --port" if chosen is None else f"set [server] port in {chosen}"
    raise PortTaken(host, port, who="gateway", fix=fix)
