"""One look at a gateway's `/metrics`: every series and its value."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]

_OURS = "tutelage_"


class Unreachable(Exception):
    """The metrics cannot be had now; why, in words."""


class NotMetrics(ValueError):
    """What came is not the metrics of a tutelage gateway."""


@dataclass(frozen=True, slots=True)
class Look:
    """at_s: monotonic seconds. values: by the series' name, then by its labels."""

    at_s: float
    values: Mapping[str, Mapping[Labels, float]]


def read(text: str, at_s: float) -> Look:
    """Of the Prometheus text format. Raises NotMetrics."""
    values: dict[str, dict[Labels, float]] = defaultdict(dict)
    named = False
    try:
        for family in text_string_to_metric_families(text):
            named |= family.name.startswith(_OURS)
            for sample in family.samples:
                values[sample.name][frozenset(sample.labels.items())] = sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise NotMetrics(f"not the Prometheus text format: {error}") from error
    if not named:
        raise NotMetrics("metrics, but not a tutelage gateway's")
    return Look(at_s, values)
