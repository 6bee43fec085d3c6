"""The text of /metrics, held to what prometheus_client writes and reads."""

import math
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.parser import text_string_to_metric_families

from gateway.exposition import Family, Kind, render
from gateway.ledger import Ledger

BOUNDS = (0.005, 0.5, 1, 120)
REQUESTS = Family("requests_total", Kind.COUNTER, "How many.", ("route", "status"))
SECONDS = Family("seconds", Kind.HISTOGRAM, "How \\ long,\nreally.", ("route",), BOUNDS)
LAG = Family("lag_seconds", Kind.HISTOGRAM, "Without a label.", (), BOUNDS)
BUSY = Family("busy", Kind.GAUGE, "Now.", ())
KEPT = Family("kept_ratio", Kind.RATIO, "A share.", ("route",))
FAMILIES = (REQUESTS, SECONDS, LAG, BUSY)


def add(ledger: Ledger, family: Family, *labels: str, values: Sequence[float]) -> None:
    at = ledger.open(family.name, labels, family.width)
    for place, value in enumerate(values, at):
        ledger.values[place] += value


def samples(text: bytes) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
    return {
        (sample.name, frozenset(sample.labels.items()), sample.value)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def comments(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if line.startswith(b"#")]


def test_it_is_what_prometheus_client_writes() -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    Counter("requests", "How many.", ["route", "status"], registry=registry).labels(
        'a "b" \\ c\nd', "200"
    ).inc(3)
    seconds = Histogram(
        "seconds", "How \\ long,\nreally.", ["route"], buckets=BOUNDS, registry=registry
    ).labels("x")
    for value in (0.001, 0.5, 0.75, 1000):
        seconds.observe(value)
    Histogram("lag_seconds", "Without a label.", buckets=BOUNDS, registry=registry).observe(1)
    Gauge("busy", "Now.", registry=registry).set(7)

    ledger = Ledger()
    add(ledger, REQUESTS, 'a "b" \\ c\nd', "200", values=[3])
    add(ledger, SECONDS, "x", values=[1, 1, 1, 0, 1, 1001.251])
    add(ledger, LAG, values=[0, 0, 1, 0, 0, 1])
    add(ledger, BUSY, values=[7])

    ours, theirs = render(FAMILIES, [ledger]), generate_latest(registry)
    assert samples(ours) == samples(theirs)
    assert comments(ours) == comments(theirs)


@given(st.lists(st.text(), min_size=1, unique=True))
def test_any_label_comes_back_from_the_parser_as_it_was(labels: list[str]) -> None:
    ledger = Ledger()
    for number, label in enumerate(labels, start=1):
        add(ledger, REQUESTS, label, "200", values=[number])
    found = {}
    for _, named, value in samples(render([REQUESTS], [ledger])):
        found[dict(named)["route"]] = value

    assert found == {label: number for number, label in enumerate(labels, start=1)}


def test_a_ratio_is_that_of_all_workers_together() -> None:
    one, two = Ledger(), Ledger()
    add(one, KEPT, "a", values=[1, 10])
    add(two, KEPT, "a", values=[89, 90])

    assert samples(render([KEPT], [one, two])) == {("kept_ratio", frozenset({("route", "a")}), 0.9)}


def test_a_family_without_a_series_is_named_all_the_same() -> None:
    text = render([REQUESTS], [Ledger()]).decode()

    assert text == "# HELP requests_total How many.\n# TYPE requests_total counter\n"


def mean(values: Iterable[float]) -> float:
    return sum(each := list(values)) / len(each)


@pytest.mark.parametrize(
    ("over_workers", "value"), [(math.fsum, 5.0), (max, 3.0), (min, 2.0), (mean, 2.5)]
)
def test_workers_are_added_up_or_as_the_family_says(over_workers: object, value: float) -> None:
    family = Family("busy", Kind.GAUGE, "Now.", (), over_workers=over_workers)  # type: ignore[arg-type]
    ledgers = [Ledger(), Ledger()]
    add(ledgers[0], family, values=[2])
    add(ledgers[1], family, values=[3])

    assert samples(render([family], ledgers)) == {("busy", frozenset(), value)}


def test_a_series_that_only_some_workers_have_is_there_once() -> None:
    first, second = Ledger(), Ledger()
    add(first, REQUESTS, "a", "200", values=[1])
    add(second, REQUESTS, "b", "200", values=[2])
    add(second, REQUESTS, "a", "200", values=[10])

    assert {
        (dict(labels)["route"], value)
        for _, labels, value in samples(render([REQUESTS], [first, second]))
    } == {("a", 11.0), ("b", 2.0)}
