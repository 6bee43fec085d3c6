"""The queries in grafana/README.md name only metrics and labels that the gateway exports."""

import re
from pathlib import Path

from gateway.metrics import Metrics

README = Path(__file__).parent.parent / "grafana" / "README.md"
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def exported() -> dict[str, set[str]]:
    """Series name to its labels."""
    found: dict[str, set[str]] = {}
    for collector in Metrics().registry._collector_to_names:
        (family,) = collector.collect()
        labels = set(getattr(collector, "_labelnames"))  # noqa: B009 - private, and untyped
        for suffix in SUFFIXES[family.type]:
            found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def queries() -> list[str]:
    rows = [line.split("|")[2] for line in README.read_text().splitlines() if "tutelage_" in line]
    return [row.strip().strip("`") for row in rows if row.strip().startswith("`")]


def test_every_query_names_metrics_and_labels_that_exist() -> None:
    series = exported()

    assert len(queries()) >= 12
    for query in queries():
        names = re.findall(r"\btutelage_\w+", query)
        labels = {
            label.strip()
            for group in re.findall(r"by \(([^)]*)\)", query) + re.findall(r"\{(\w+)=", query)
            for label in group.split(",")
        }
        assert names, query
        for name in names:
            assert name in series, query
            assert labels <= series[name], query


def test_every_metric_has_a_query_that_uses_it() -> None:
    text = " ".join(queries())

    for name in exported():
        stem = re.sub(r"_(total|bucket|sum|count)$", "", name)
        assert stem in text, name
