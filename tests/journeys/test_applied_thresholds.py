"""A threshold is applied while the gateway runs, and the next request is ruled by it."""

import math
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.adopting import Adopting
from gateway.rulings import Ruling, Rulings, RulingsError
from router.calibration import StaleCalibration
from serving.scripts import Say
from tests.journeys.rig import UNSURE, rig
from tests.router.judged_pairs import DULL

pytestmark = pytest.mark.anyio

LENIENT = Ruling(math.exp(UNSURE) / 2)
FITTING = replace(DULL, student="student", label=None, window_tokens=24)


def apply(rulings: Rulings, ruling: Ruling) -> None:
    rulings.apply("support", ruling, who="ann", why="a test", now_s=0.0)
    later(rulings)


def later(rulings: Rulings) -> None:
    later_ns = rulings.path.stat().st_mtime_ns + 1_000_000_000
    os.utime(rulings.path, ns=(later_ns, later_ns))  # file systems' clocks are coarse


async def test_an_applied_threshold_rules_the_next_request_and_stands_in_its_trace(
    tmp_path: Path,
) -> None:
    rulings = Rulings(tmp_path / "state.db")
    async with rig() as on:
        adopting = Adopting(rulings, on.on.routes)
        adopting.start()
        on.student.script(Say("41", logprob=UNSURE), Say("41", logprob=UNSURE))

        before = await on.ask()
        apply(rulings, LENIENT)
        adopting.look()
        after = await on.ask()

        assert before.headers["x-tutelage-served-by"] == "teacher"
        assert after.headers["x-tutelage-served-by"] == "student"
        thresholds = [(await on.traces.exchange(number)).threshold for number in (1, 2)]
        assert thresholds == [0.8, LENIENT.threshold]


async def test_an_applied_calibration_makes_the_confidence(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    apply(rulings, Ruling(0.5, FITTING))
    async with rig() as on:
        Adopting(rulings, on.on.routes).start()
        on.student.script(Say("41", logprob=-0.01))

        answer = await on.ask()
        exchange = await on.traces.exchange()

        assert answer.headers["x-tutelage-served-by"] == "student"
        assert exchange.signals is not None
        assert exchange.confidence == FITTING.confidence(exchange.signals)


async def test_without_a_calibration_the_configs_signal_rules_again(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    async with rig() as on:
        adopting = Adopting(rulings, on.on.routes)
        adopting.start()
        for ruling in (Ruling(0.5, FITTING), LENIENT):
            apply(rulings, ruling)
            adopting.look()
        on.student.script(Say("41", logprob=UNSURE))

        await on.ask()

        assert (await on.traces.exchange()).confidence == pytest.approx(math.exp(UNSURE))


async def test_after_a_revert_of_the_first_change_the_config_rules_again(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    async with rig() as on:
        adopting = Adopting(rulings, on.on.routes)
        adopting.start()
        apply(rulings, Ruling(0.5, FITTING))
        adopting.look()
        rulings.revert("support", who="ann", why="a test", now_s=0.0)
        later(rulings)
        adopting.look()
        on.student.script(Say("41", logprob=UNSURE))

        await on.ask()
        exchange = await on.traces.exchange()

        assert (exchange.threshold, exchange.confidence) == (0.8, math.exp(UNSURE))


async def test_a_calibration_of_another_student_is_refused_and_leaves_the_rule(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rulings = Rulings(tmp_path / "state.db")
    async with rig() as on:
        adopting = Adopting(rulings, on.on.routes)
        adopting.start()
        apply(rulings, Ruling(0.5, replace(FITTING, student="its elder sister")))
        adopting.look()
        adopting.look()

        (route,) = on.on.routes
        assert route.threshold == 0.8
        assert caplog.text.count("thresholds stay as they were: student: the calibration") == 1
        with pytest.raises(StaleCalibration, match="its elder sister"):
            Adopting(rulings, on.on.routes).start()


async def test_a_broken_file_keeps_a_gateway_from_starting_but_not_from_going_on(
    tmp_path: Path,
) -> None:
    rulings = Rulings(tmp_path / "state.db")
    async with rig() as on:
        adopting = Adopting(rulings, on.on.routes)
        adopting.start()
        rulings.path.write_bytes(b"not a database at all, but long enough to be looked at")
        adopting.look()

        assert (await on.ask()).status_code == 200
        with pytest.raises(RulingsError):
            Adopting(rulings, on.on.routes).start()


async def test_a_ruling_for_a_route_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    rulings = Rulings(tmp_path / "state.db")
    rulings.apply("gone", LENIENT, who="ann", why="a test", now_s=0.0)
    async with rig() as on:
        Adopting(rulings, on.on.routes).start()

        (route,) = on.on.routes
        assert route.threshold == 0.8
