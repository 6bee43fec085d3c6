"""What the gateway counts, as a scrape sees it."""

from functools import partial

from prometheus_client.parser import text_string_to_metric_families

from gateway.ledger import Ledger, new_memory
from gateway.metrics import Metrics
from gateway.route import Role
from gateway.stage import Stage


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The sum of the samples of `name` that carry these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_a_scrape_of_any_worker_counts_what_all_of_them_did() -> None:
    one, two = Ledger(), Ledger()
    metrics = [Metrics(one, [two]), Metrics(two, [one])]
    metrics[0].traced("stored", 2)
    metrics[1].traced("stored", 3)
    metrics[1].took(Stage.PARSE, 0.001)

    for each in metrics:
        assert value(each, "tutelage_traces_total", outcome="stored") == 5
        assert value(each, "tutelage_overhead_seconds_count", stage="parse") == 1


def test_gauges_are_added_up_or_the_worst_one_is_told() -> None:
    one, two = Ledger(), Ledger()
    metrics = [Metrics(one, [two]), Metrics(two, [one])]
    for each, in_flight, state in zip(metrics, ([2], [3, 4, 5]), ([1, 2], []), strict=True):
        each.watch_in_flight("teacher", partial(len, in_flight))
        each.watch_state("teacher", partial(len, state))
        each.read_gauges()

    assert value(metrics[1], "tutelage_in_flight", upstream="teacher") == 4
    assert value(metrics[1], "tutelage_upstream_state", upstream="teacher") == 2


def test_no_counter_goes_back_when_a_worker_is_replaced() -> None:
    memory = new_memory()
    Metrics(Ledger(memory)).traced("stored", 2)
    successor = Metrics(Ledger(memory))
    successor.traced("stored", 1)

    assert value(successor, "tutelage_traces_total", outcome="stored") == 3


def test_a_gauge_of_a_dead_worker_does_not_outlive_it() -> None:
    memory = new_memory()
    before = Metrics(Ledger(memory))
    before.watch_in_flight("teacher", lambda: 7)
    before.read_gauges()

    after = Metrics(Ledger(memory))

    assert value(after, "tutelage_in_flight", upstream="teacher") == 0


def test_the_gaps_of_a_stream_fall_into_buckets() -> None:
    metrics = Metrics()
    observe = metrics.gaps("triage", Role.STUDENT)
    for gap_s in (0.02, 0.021, 99.0):
        observe(gap_s)
    name, labels = "tutelage_inter_token_seconds", {"route": "triage", "served_by": "student"}

    assert value(metrics, f"{name}_bucket", le="0.02", **labels) == 1
    assert value(metrics, f"{name}_bucket", le="10.0", **labels) == 2
    assert value(metrics, f"{name}_count", **labels) == 3
    assert value(metrics, f"{name}_sum", **labels) == 99.041
    assert metrics.gaps("triage", Role.STUDENT) is observe
