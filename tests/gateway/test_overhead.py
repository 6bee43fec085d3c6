"""Our own time: taken on some requests, stage by stage, without an upstream's."""

from gateway.overhead import Overhead
from gateway.stage import Stage


class HandClock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def unix_s(self) -> float:
        return self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


def test_one_request_in_so_many_is_timed_and_the_others_cost_nothing() -> None:
    overhead = Overhead(lambda _stage, _seconds: None, HandClock(), one_in=4)

    assert [overhead.laps() is None for _ in range(8)] == [True, True, True, False] * 2


def test_a_lap_is_what_passed_since_the_last_one_and_a_skip_is_nobodys() -> None:
    clock = HandClock()
    took: list[tuple[Stage, float]] = []
    laps = Overhead(lambda stage, seconds: took.append((stage, seconds)), clock, one_in=1).laps()
    assert laps is not None

    clock.now_s += 1.0
    laps.lap(Stage.PARSE)
    clock.now_s += 30.0
    laps.skip()
    clock.now_s += 2.0
    laps.lap(Stage.RESPOND)

    assert took == [(Stage.PARSE, 1.0), (Stage.RESPOND, 2.0)]
