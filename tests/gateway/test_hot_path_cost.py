"""A request and a chunk cost what is recorded: no more, and no less without its being recorded."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.gateway.hot_path_cost import Cost, Costs, differences, recorded

ROOT = Path(__file__).parent.parent.parent
RECORD_ANEW = "python -m tests.gateway.hot_path_cost --record"


@pytest.fixture(scope="module")
def costs() -> Costs:
    """Counted in a process that holds nothing but the gateway."""
    counted = subprocess.run(
        [sys.executable, "-m", "tests.gateway.hot_path_cost"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(counted.stdout, type=Costs)


def test_a_request_and_a_chunk_take_as_many_calls_as_recorded(costs: Costs) -> None:
    assert len(costs) >= 5
    assert not differences(costs, recorded()), f"if this was meant: {RECORD_ANEW}"


def test_the_gate_costs_calls_and_a_chunk_costs_fewer_than_a_request(costs: Costs) -> None:
    """So what is counted is what the names say."""
    assert costs["cascade: request"].ours > costs["pass: request"].ours
    assert 0 < costs["pass: chunk"].ours < costs["pass: request"].ours
    assert costs["cascade: held chunk"].ours > 0


@pytest.mark.parametrize(("calls", "noticed"), [(96, True), (97, False), (103, False), (104, True)])
def test_more_is_noticed_and_so_is_less(calls: float, *, noticed: bool) -> None:
    record, now = {"request": Cost(100, 10, 10)}, {"request": Cost(calls, 10, 10)}

    assert bool(differences(now, record)) is noticed


def test_what_is_not_counted_any_more_is_noticed_too() -> None:
    assert differences({}, {"chunk": Cost(50, 3, 20)}) == [
        "chunk: ours: 0 calls, recorded 50",
        "chunk: libraries: 0 calls, recorded 3",
        "chunk: c: 0 calls, recorded 20",
    ]
