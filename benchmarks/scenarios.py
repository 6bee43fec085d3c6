"""What every way is put through. The names are the keys of the results."""

from dataclasses import dataclass

from benchmarks.bodies import Size
from benchmarks.load import Demand
from benchmarks.mock import Pace

RATE_PER_S = 50.0
CLIENTS = 64
TOKENS_PER_S = 20.0
STREAMS = (200, 500, 1000)
BURST_TOKENS = 200
BURST_CLIENTS = 16
_PATIENCE = 3.0
"""A paced stream that takes longer than this many times its length counts as failed."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`pace` is None where answers are whole."""

    name: str
    demand: Demand
    size: Size = Size.SMALL
    pace: Pace | None = None


def open_loop(size: Size, seconds: float) -> Scenario:
    return Scenario(f"open {size}", Demand(seconds, rate_per_s=RATE_PER_S), size)


def closed_loop(size: Size, seconds: float) -> Scenario:
    return Scenario(f"closed {size}", Demand(seconds, clients=CLIENTS), size)


def burst(clients: int, seconds: float) -> Scenario:
    return Scenario(f"burst {clients}", Demand(seconds, clients=clients), pace=Pace(BURST_TOKENS))


def paced(streams: int, tokens: int) -> Scenario:
    """All streams at once, started over a second so that they do not beat in step."""
    pace = Pace(tokens, 1 / TOKENS_PER_S)
    within_s = 1.0 + _PATIENCE * pace.seconds
    demand = Demand(within_s, clients=streams, requests=streams, ramp_s=1.0, grace_s=0.0)
    return Scenario(f"paced {streams}", demand, pace=pace)


FULL = (
    open_loop(Size.SMALL, 20.0),
    open_loop(Size.LARGE, 10.0),
    closed_loop(Size.SMALL, 5.0),
    closed_loop(Size.LARGE, 4.0),
    burst(1, 2.0),
    burst(BURST_CLIENTS, 3.0),
    *(paced(streams, tokens=100) for streams in STREAMS),
)
QUICK = (
    open_loop(Size.SMALL, 4.0),
    closed_loop(Size.SMALL, 2.0),
    closed_loop(Size.LARGE, 2.0),
    burst(1, 1.0),
    burst(BURST_CLIENTS, 1.0),
    paced(200, tokens=40),
    paced(1000, tokens=40),
)
WARM_UP = Scenario("warm-up", Demand(2.0, clients=CLIENTS))
