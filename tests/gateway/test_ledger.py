"""Numbers that survive their process, and that another one may read at any moment."""

import os
import signal
import threading

import pytest

from gateway import ledger as module
from gateway.ledger import Ledger, Series, new_memory


def test_a_series_has_one_place_for_ever() -> None:
    ledger = Ledger()
    first = ledger.open("requests", ("a",))
    other = ledger.open("seconds", ("a",), width=4)

    assert ledger.open("requests", ("a",)) == first
    assert not set(range(other, other + 4)) & {first}


def test_whoever_takes_over_the_memory_goes_on_counting() -> None:
    memory = new_memory()
    before = Ledger(memory)
    before.values[before.open("requests", ("a",))] += 3
    before.values[before.open("seconds", ("a",), width=2) + 1] += 0.5

    after = Ledger(memory)
    after.values[after.open("seconds", ("a",), width=2) + 1] += 0.25
    after.values[after.open("requests", ("b",))] += 1

    assert list(after.read()) == [
        (Series("requests", ("a",), 1), [3.0]),
        (Series("seconds", ("a",), 2), [0.0, 0.75]),
        (Series("requests", ("b",), 1), [1.0]),
    ]


def test_a_killed_process_leaves_what_it_counted() -> None:
    memory = new_memory()
    if (child := os.fork()) == 0:
        ledger = Ledger(memory)
        ledger.values[ledger.open("requests", ())] += 2
        os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert list(Ledger(memory).read()) == [(Series("requests", (), 1), [2.0])]


def test_threads_that_open_at_once_share_no_place() -> None:
    ledger, ready = Ledger(), threading.Barrier(4)

    def open_all() -> None:
        ready.wait()
        for number in range(200):
            ledger.open("seconds", (str(number),), width=3)

    threads = [threading.Thread(target=open_all) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    places = [ledger.open("seconds", (str(number),), width=3) for number in range(200)]

    assert sorted(places) == list(range(min(places), min(places) + 600, 3))
    assert len(list(ledger.read())) == 200


def test_a_full_ledger_counts_what_it_had_and_says_what_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_VALUES_AT", 160)
    ledger = Ledger()
    for number in range(20):
        at = ledger.open("requests", (str(number),), width=17)
        for place in range(at, at + 17):
            ledger.values[place] += 1
    kept = list(ledger.read())

    assert 0 < len(kept) < 20
    assert all(values == [1.0] * 17 for _, values in kept)
    assert caplog.text.count("the ledger is full") == 20 - len(kept)
