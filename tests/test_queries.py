"""The queries in grafana/README.md name only metrics and labels that the gateway exports."""

import re
from pathlib import Path

from gateway.exposition import Kind
from gateway.families import FAMILIES

README = Path(__file__).parent.parent / "grafana" / "README.md"
SUFFIXES = {
    Kind.COUNTER: ("",),  # the name has its _total
    Kind.GAUGE: ("",),
    Kind.RATIO: ("",),
    Kind.HISTOGRAM: ("_bucket", "_sum", "_count"),
}


def exported() -> dict[str, set[str]]:
    """Series name to its labels."""
    return {
        family.name + suffix: set(family.labels) | ({"le"} if suffix == "_bucket" else set())
        for family in FAMILIES
        for suffix in SUFFIXES[family.kind]
    }


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
