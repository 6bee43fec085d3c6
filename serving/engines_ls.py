"""`tutelage engines ls`: what runs on this machine, and what runs elsewhere."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from serving.deployment import read_deployment
from serving.elsewhere import look
from serving.engines_table import elsewhere_table, engines_table
from serving.errors import ServingError
from serving.home import Home
from serving.roster import Roster
from serving.supervisor import State
from serving.token_rate import token_rates


def run(
    config: Path | None,
    *,
    env: Mapping[str, str],
    console: Console,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Exit status: 0, or 1 when `config` cannot be read. Takes a second, to see tokens pass."""
    running = list(Roster(Home.of(env).run).read())
    ready = [row.url for file in running for row in file.engines if row.state == State.READY.value]
    rates = token_rates(ready, clock=time.monotonic, pause=pause) if ready else {}
    for file in running:
        console.print(engines_table(file, now=datetime.now(UTC), rates=rates))
    if not running:
        console.print("no engine runs; `tutelage up` starts the embedded ones")
    if config is None:
        return 0
    try:
        places = read_deployment(config).elsewhere
    except ServingError as error:
        console.print(f"error: {error}", markup=False)
        return 1
    if places:
        console.print(elsewhere_table([(place, look(place, env)) for place in places]))
    return 0
