import uuid
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw, UnsetType

from router.signals import read_signals
from router.trace import (
    SCHEMA,
    Exchange,
    Judge,
    Judgement,
    ModelAnswer,
    Outcome,
    Reason,
    ServedBy,
    UnreadableTraceError,
    Usage,
    decode_exchange,
    decode_judgement,
    encode,
    new_trace_id,
)

T = TypeVar("T")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(min_value=0, max_value=2**53)
raw: st.SearchStrategy[Raw | UnsetType] = st.just(UNSET) | st.sampled_from(
    [Raw(b'{"messages": [1, "\xc3\xa9"]}'), Raw(b"[]"), Raw(b"null")]
)


def maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | strategy


answers = st.builds(
    ModelAnswer,
    upstream=texts,
    model=texts,
    text=maybe(texts),
    finish_reason=maybe(texts),
    usage=maybe(st.builds(Usage, counts, counts, counts)),
    first_token_s=maybe(numbers),
    total_s=maybe(numbers),
    status=maybe(counts),
    error=maybe(texts),
    tool_calls=raw,
    complete=st.booleans(),
)
exchanges = st.builds(
    Exchange,
    trace_id=texts,
    ts=numbers,
    route=texts,
    caller=maybe(texts),
    release=maybe(texts),
    stream=st.booleans(),
    request=raw,
    mode=texts,
    pinned=st.booleans(),
    served_by=maybe(st.sampled_from(ServedBy)),
    reason=maybe(st.sampled_from(Reason)),
    confidence=maybe(numbers),
    signals=maybe(st.lists(st.floats(max_value=0.0), min_size=1, max_size=9).map(read_signals)),
    threshold=maybe(numbers),
    tokens_seen=maybe(counts),
    propensity=maybe(numbers),
    student=maybe(answers),
    teacher=maybe(answers),
    status=counts,
    outcome=st.sampled_from(Outcome),
    cost_usd=maybe(numbers),
    saved_usd=maybe(numbers),
    total_s=numbers,
)
judgements = st.builds(
    Judgement,
    trace_id=texts,
    by=st.sampled_from(Judge),
    comparator=texts,
    agreement=numbers,
    detail=texts,
    propensity=numbers,
    ts=numbers,
)
moments = st.floats(min_value=0, max_value=2e11)  # to the year 8300
noise = st.binary(min_size=10, max_size=10)


@given(exchanges)
def test_an_exchange_is_read_back_as_it_was_written(exchange: Exchange) -> None:
    assert decode_exchange(encode(exchange)) == exchange


@given(judgements)
def test_a_judgement_is_read_back_as_it_was_written(judgement: Judgement) -> None:
    assert decode_judgement(encode(judgement)) == judgement


@settings(max_examples=20)
@given(exchanges, judgements)
def test_a_record_is_one_line_of_json_that_says_what_it_is(
    exchange: Exchange, judgement: Judgement
) -> None:
    for record, kind in ((exchange, "exchange"), (judgement, "judgement")):
        line = encode(record)
        document = msgspec.json.decode(line)
        assert b"\n" not in line
        assert (document["kind"], document["schema"]) == (kind, SCHEMA)


@settings(max_examples=20)
@given(exchanges)
def test_a_request_that_runs_over_lines_is_put_on_one(exchange: Exchange) -> None:
    spread = msgspec.structs.replace(exchange, request=Raw(b'{\n  "a": [1.50,\r\n "x\\n y"]\n}'))
    line = encode(spread)

    assert b"\n" not in line
    assert decode_exchange(line).request == Raw(b'{"a":[1.50,"x\\n y"]}')


@settings(max_examples=20)
@given(exchanges)
def test_a_field_from_a_later_version_is_passed_over(exchange: Exchange) -> None:
    line = encode(exchange)[:-1] + b',"mood":"fine"}'

    assert decode_exchange(line) == exchange


@settings(max_examples=20)
@given(exchanges, judgements)
def test_a_newer_schema_is_refused(exchange: Exchange, judgement: Judgement) -> None:
    newer = msgspec.structs.replace(exchange, schema=SCHEMA + 1)
    with pytest.raises(UnreadableTraceError, match="schema 2 is newer than 1"):
        decode_exchange(encode(newer))
    with pytest.raises(UnreadableTraceError, match="schema 2 is newer than 1"):
        decode_judgement(encode(msgspec.structs.replace(judgement, schema=SCHEMA + 1)))


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"kind":"exchange"}', b"\xff"])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(UnreadableTraceError, match="not an exchange"):
        decode_exchange(line)
    with pytest.raises(UnreadableTraceError, match="not a judgement"):
        decode_judgement(line)


@given(moments, noise)
def test_a_trace_id_is_a_uuid_of_version_7(now_s: float, random: bytes) -> None:
    text = new_trace_id(now_s, random)
    parsed = uuid.UUID(text)

    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == int(now_s * 1000) % 2**48


@given(moments, moments, noise, noise)
def test_trace_ids_sort_by_time(a_s: float, b_s: float, a: bytes, b: bytes) -> None:
    earlier, later = sorted((a_s, b_s))
    if int(earlier * 1000) < int(later * 1000):
        assert new_trace_id(earlier, a) < new_trace_id(later, b)


@given(moments, noise)
def test_74_random_bits_tell_ids_of_one_millisecond_apart(now_s: float, random: bytes) -> None:
    number = uuid.UUID(new_trace_id(now_s, random)).int
    kept = 2**80 - 1 - (0b1111 << 76) - (0b11 << 62)

    assert kept.bit_count() == 74
    assert number & kept == int.from_bytes(random) & kept


def test_randomness_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(ValueError, match="random must be 10 bytes, got 3"):
        new_trace_id(0.0, b"abc")
