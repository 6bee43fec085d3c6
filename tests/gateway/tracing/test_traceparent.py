"""W3C's header."""

import pytest

from gateway.tracing.traceparent import Parent, parse, written

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "told"), [("01", "01"), ("00", "00"), ("03", "01")])
def test_what_is_written_is_read_again(flags: str, told: str) -> None:
    parent = parse(f"00-{TRACE}-{SPAN}-{flags}")

    assert parent == Parent(int(TRACE, 16), int(SPAN, 16), sampled=told == "01")
    assert written(*parent[:2], sampled=parent.sampled) == f"00-{TRACE}-{SPAN}-{told}"


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert parse(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like") is not None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_what_is_none_begins_a_trace_of_its_own(header: str) -> None:
    assert parse(header) is None
