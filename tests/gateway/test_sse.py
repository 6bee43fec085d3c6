from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sse import MalformedStream, SseDecoder, encode

payloads = st.lists(
    st.sampled_from(
        [b"{}", b"[DONE]", b'{"a":"\xc3\xa9"}', b"two\nlines", b"", b" led by a space"]
    ),
    max_size=8,
)
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(each, len(data)) for each in at), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def decode(*pieces: bytes) -> list[bytes]:
    decoder = SseDecoder()
    return [payload for piece in pieces for payload in decoder.feed(piece)]


@given(payloads, st.lists(st.integers(0, 200), max_size=12), line_ends)
def test_however_the_bytes_are_cut_the_payloads_are_the_same(
    sent: list[bytes], at: list[int], line_end: bytes
) -> None:
    wire = b"".join(encode(payload) for payload in sent).replace(b"\n", line_end)
    wire += b": the end" + line_end * 2  # a lone CR is ended by what follows it

    assert decode(*cut(wire, at)) == sent


def test_comments_and_other_fields_are_skipped() -> None:
    wire = b": ping\n\nevent: x\nid: 7\ndata: a\nretry: 5\ndata: b\n\nevent: only\n\n"

    assert decode(wire) == [b"a\nb"]


def test_an_event_without_its_blank_line_is_held_back() -> None:
    decoder = SseDecoder()

    assert decoder.feed(b"data: half") == []
    assert decoder.feed(b"\n\n") == [b"half"]


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    decoder = SseDecoder()

    decoder.feed(b"x" * 16 * 1024 * 1024)

    with pytest.raises(MalformedStream, match="longer than"):
        decoder.feed(b"x")
