from gateway.watchdog import Watchdog
from tests.gateway.hand_clock import HandLoop


def watched(loop: HandLoop, barks: list[float]) -> Watchdog:
    return Watchdog(
        loop,
        idle_s=10,
        ends_at_s=loop.now_s + 60,
        limit="total_s = 60 is over",
        bark=lambda: barks.append(loop.now_s),
    )


def test_a_slow_drip_is_a_sign_of_life() -> None:
    loop, barks = HandLoop(), list[float]()
    dog = watched(loop, barks)

    for _ in range(6):
        loop.wait(9)
        dog.pat()

    assert barks == []
    assert dog.barked == ""


def test_silence_is_noticed_when_it_has_lasted_long_enough_and_not_later() -> None:
    loop, barks = HandLoop(), list[float]()
    dog = watched(loop, barks)

    loop.wait(5)
    dog.pat()
    loop.wait(30)

    assert barks == [115.0]
    assert "idle_s = 10" in dog.barked


def test_a_drip_without_end_is_ended() -> None:
    loop, barks = HandLoop(), list[float]()
    dog = watched(loop, barks)

    for _ in range(20):
        loop.wait(4)
        dog.pat()

    assert barks == [160.0]
    assert "total_s = 60" in dog.barked


def test_a_dog_that_was_stopped_is_silent() -> None:
    loop, barks = HandLoop(), list[float]()

    watched(loop, barks).stop()
    loop.wait(1000)

    assert barks == []
