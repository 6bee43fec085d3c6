import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.traces.keys import first_key, key_of, keys_from, trace_id_of
from router.trace import new_trace_id
from tests.gateway.traces.records import NOON_S, trace_id

random_bytes = st.binary(min_size=10, max_size=10)
ids = st.builds(new_trace_id, st.floats(0, 4e9), random_bytes)


@given(ids)
def test_an_id_comes_back_from_its_key(one: str) -> None:
    assert trace_id_of(key_of(one)) == one


@given(ids, ids)
def test_keys_sort_as_ids_do(one: str, other: str) -> None:
    assert (key_of(one) < key_of(other)) == (one < other)


@given(st.integers(1, 4_000_000_000_000), random_bytes)
def test_what_came_before_a_time_has_a_lesser_key(ms: int, noise: bytes) -> None:
    first = first_key(ms / 1000 + 0.0001)  # past the rounding of a float

    assert key_of(new_trace_id((ms - 1) / 1000, noise)) < first
    assert first <= key_of(new_trace_id(ms / 1000 + 0.0001, noise))


@given(ids, st.integers(1, 36))
def test_every_beginning_of_an_id_finds_it(one: str, length: int) -> None:
    first, last = keys_from(one[:length]) or (b"", b"")

    assert first <= key_of(one) <= last


def test_a_beginning_finds_nothing_else() -> None:
    first, last = keys_from(trace_id(1)[:-1]) or (b"", b"")

    assert not first <= key_of(trace_id(17)) <= last
    assert first <= key_of(trace_id(2)) <= last


@pytest.mark.parametrize("prefix", ["zz", "01a2g", "01a20363 ", "0" * 33])
def test_what_no_id_begins_with_has_no_keys(prefix: str) -> None:
    assert keys_from(prefix) is None or len(prefix) > 32


@pytest.mark.parametrize("odd", [-1.0, 0.0, NOON_S, 1e300])
def test_any_time_has_a_first_key(odd: float) -> None:
    assert len(first_key(odd)) == 16
