"""`tutelage engines up`: the engines of a config file alone, watched until Ctrl-C."""

import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from serving.deployment import read_deployment, state_path
from serving.elsewhere import look
from serving.engines_table import elsewhere_table
from serving.errors import BadConfig
from serving.fleet import engine_beside, engines_of
from serving.home import Home
from serving.release_state import ReleaseState
from serving.releases import Releases
from serving.rollout import Rollout, as_current
from serving.rollout_plan import seats_of
from serving.roster import Roster
from serving.running import Running
from serving.screen import Screen
from serving.story import to_its_end
from serving.supervisor import Supervisor


def run(config: Path, only: Sequence[str], *, env: Mapping[str, str], console: Console) -> int:
    """Exit status: 0 after Ctrl-C or SIGTERM, 1 after an error, which is printed."""
    return to_its_end(
        console,
        lambda screen, story: _up(config, only, Home.of(env), env=env, screen=screen, story=story),
    )


def _up(
    config: Path,
    only: Sequence[str],
    home: Home,
    *,
    env: Mapping[str, str],
    screen: Screen,
    story: ExitStack,
) -> NoReturn:
    configured = read_deployment(config)
    releases = Releases(home.releases)
    state = ReleaseState(state_path(configured.state, home))
    deployment = as_current(configured, releases, state)
    engines = engines_of(deployment, logs=home.logs, env=env, only=only)
    if not engines:
        raise BadConfig(f"{config}: [engines]", "there is none to start")

    screen.step(f"engines: {', '.join(engine.name for engine in engines)}")
    for engine in engines:
        screen.say(f"engine {engine.name}: {engine.spec.model} on {engine.spec.base_url}")
        screen.say(f"engine {engine.name}: log: {engine.log}")
    running = Running(engines, gateway_url=None, roster=Roster(home.run), screen=screen)
    story.callback(running.forget)
    running.begin()
    supervisor = Supervisor(engines, on_change=running.engine_changed)
    story.callback(supervisor.stop)
    started = {engine.spec.base_url for engine in engines}
    rollout = Rollout(
        [seat for seat in seats_of(configured) if seat.stands_for in started],
        releases,
        state,
        supervisor,
        running,
        partial(engine_beside, deployment, logs=home.logs, env=env),
        screen,
    )
    story.callback(rollout.stop)
    story.callback(screen.say, "stopping the engines")
    supervisor.start()
    rollout.begin(engines)
    rollout.start()

    if deployment.elsewhere and not only:
        seen = [(place, look(place, env)) for place in deployment.elsewhere]
        screen.console.print(elsewhere_table(seen))
    screen.step("all ready; watched until Ctrl-C")
    while True:
        signal.pause()
