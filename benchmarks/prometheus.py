"""Reading figures from the Prometheus text format."""

import re


def labelled(text: str, metric: str, label: str) -> dict[str, float]:
    """The values of one metric, by one of its labels."""
    pattern = rf'^{re.escape(metric)}{{.*?\b{re.escape(label)}="([^"]*)".*?}} (\S+)$'
    return {value: float(number) for value, number in re.findall(pattern, text, re.MULTILINE)}
