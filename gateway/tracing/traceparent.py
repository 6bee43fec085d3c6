"""W3C's `traceparent` (Trace Context, level 2): read, written."""

import re
from typing import NamedTuple

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_OURS, _NEVER = "00", "ff"
_SAMPLED = 1


class Parent(NamedTuple):
    trace_id: int
    span_id: int
    sampled: bool


def parse(header: str) -> Parent | None:
    """None for what is not one: the trace then begins here."""
    if (found := _FORM.fullmatch(header.strip())) is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == _NEVER or (version == _OURS and more is not None):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not trace_id or not span_id:
        return None
    return Parent(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def written(trace_id: int, span_id: int, *, sampled: bool) -> str:
    return f"{_OURS}-{trace_id:032x}-{span_id:016x}-{sampled:02x}"
