"""The gateway as the bench starts it: one worker, API keys, metrics, traces; one route a way."""

import sys
from collections.abc import Sequence
from importlib.metadata import version

from benchmarks.place import Launch, Place
from gateway.clock import SystemClock
from gateway.keys import Keyring

CONFIG = """
[server]
port = {port}
auth = "keys"
keys = "sqlite://{scratch}/keys.db"
max_in_flight = 4096

[upstreams.student]
base_url = "{upstream}/v1"
model = "mock"
max_in_flight = 4096

[upstreams.teacher]
base_url = "{upstream}/v1"
model = "mock"
max_in_flight = 4096

[routes.pass]
mode = "student"
student = "student"
teacher = "teacher"

[routes.cascade]
mode = "cascade"
student = "student"
teacher = "teacher"
gate = {{ threshold = 0.5, window_tokens = 24 }}

[routes.escalate]
mode = "cascade"
student = "student"
teacher = "teacher"
gate = {{ threshold = 1.0, window_tokens = 24 }}

[routes.shadow]
mode = "cascade"
student = "student"
teacher = "teacher"
gate = {{ threshold = 0.5, window_tokens = 24 }}
shadow = {{ rate = 0.1, max_in_flight = 64 }}

[traces]
store = "sqlite://{scratch}/traces.db"
"""
"""The mock's tokens have a probability of 0.97 in the mean: 0.5 commits them, 1.0 never does."""


def gateway(place: Place, wrapper: Sequence[str] = ()) -> Launch:
    """`wrapper`: arguments for Python before the gateway's own, `-m cProfile -o FILE` for one."""
    config = place.scratch / "gateway.toml"
    config.write_text(
        CONFIG.format(port=place.port, scratch=place.scratch, upstream=place.upstream)
    )
    key = Keyring(place.scratch / "keys.db").create("bench", SystemClock().unix_s())
    command = ("-m", "gateway.commands", "gateway", "--config", str(config))
    return Launch(
        argv=(sys.executable, *wrapper, *command),
        ready_path="/readyz",
        version=version("tutelage"),
        key=key,
    )
