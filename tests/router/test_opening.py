import math

from hypothesis import given
from hypothesis import strategies as st

from router.gate import ConfidenceGate, GateRule, Signal, Verdict
from router.opening import MOST_TOKENS, Opening
from router.trace import Exchange, Outcome, decode_exchange, encode

Token = tuple[bytes, float]

PIECES = [b'{"a":', b'"neg', b"ative", b'"', b",", b'"b":', b"2", b"}", b" ", b"word", b""]
MARKED = [b"<think>", b"</think>", b"<tool_call>", b'{"name":"f","arguments":{"x":', b"<", b"[1,"]
answers = st.lists(
    st.tuples(st.sampled_from(PIECES + MARKED), st.floats(min_value=-30, max_value=0)), max_size=14
)
sizes = st.integers(min_value=1, max_value=12)
labels = st.sampled_from([None, "a", "b"])


def ruled(answer: list[Token], window: int, label: str | None, *, tools: bool) -> ConfidenceGate:
    rule = GateRule(Signal.MEAN_PROBABILITY, 0.5, window, label)
    gate = ConfidenceGate(rule, tools=tools)
    for token, logprob in answer:
        gate.feed(token, logprob)
    gate.finish()
    return gate


@given(answers, sizes, sizes, labels, st.booleans())
def test_a_smaller_window_is_ruled_on_from_the_opening_as_the_gate_itself_would(
    answer: list[Token],
    live: int,
    smaller: int,
    label: str | None,
    tools: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    opening = ruled(answer, live, label, tools=tools).opening
    if opening is None or (at := opening.ruled_at(smaller)) is None:
        return
    again = ruled(answer, smaller, label, tools=tools)

    assert at == again.tokens
    read = opening.read(at)
    assert again.deciding == len(read)
    if read:
        rule = GateRule(Signal.MEAN_PROBABILITY, 0.5, smaller, label)
        assert again.confidence == rule.confidence(read)


@given(answers, sizes, labels)
def test_the_window_that_ruled_is_always_known(
    answer: list[Token], live: int, label: str | None
) -> None:
    gate = ruled(answer, live, label, tools=False)
    if (opening := gate.opening) is not None:
        assert opening.ruled_at(live) == gate.tokens


def test_what_was_not_read_is_not_answered() -> None:
    opening = ruled([(b"word", -0.1)] * 9, 4, None, tools=False).opening

    assert opening is not None
    assert opening.ruled_at(3) == 3
    assert opening.ruled_at(5) is None


def test_an_answer_that_ended_within_the_window_is_known_for_every_window() -> None:
    opening = ruled([(b"word", -0.1)] * 3, 24, None, tools=False).opening

    assert opening is not None
    assert [opening.ruled_at(window) for window in (2, 3, 24, 99)] == [2, 3, 3, 3]


def test_a_window_that_ends_before_the_first_value_waits_for_its_end() -> None:
    answer = [(b'{"', -1.0), (b'a":"', -1.0), (b"po", -0.5), (b"s", -0.2), (b'"', -0.9), (b"}", 0)]
    opening = ruled(answer, 5, None, tools=False).opening

    assert opening is not None
    assert opening.ruled_at(1) == 5
    assert opening.ruled_at(3) == 3
    assert opening.read(4) == [-0.5, -0.2]


def test_a_call_or_a_late_end_of_reasoning_leaves_no_opening() -> None:
    """A smaller window would have ruled on the words before it, which are not kept."""
    call = [(b"Let", -0.1), (b" me", -0.1), (b"<tool_call>", -0.1), (b'{"name":"f"', -0.1)]
    late = [(b"so", -0.1), (b" then", -0.1), (b"</think>", -0.1), (b"yes", -0.1)]

    assert ruled(call, 3, None, tools=True).opening is None
    assert ruled(late, 8, None, tools=False).opening is None
    assert ruled([(b"<think>", -0.1), *late], 8, None, tools=False).opening is not None


def test_a_whole_answer_and_a_very_long_opening_are_not_kept() -> None:
    words = [(b"word", -0.1)] * (MOST_TOKENS + 1)
    whole = ConfidenceGate(GateRule(Signal.MEAN_PROBABILITY, 0.5, None, None))
    whole.feed_all(words)

    assert whole.finish() is Verdict.COMMIT
    assert whole.opening is None
    assert ruled(words, MOST_TOKENS + 1, None, tools=False).opening is None


def test_a_probability_of_nothing_is_written_as_a_number() -> None:
    opening = ruled(
        [(b"a", -math.inf), (b"b", math.nan), (b"c", 0.1)], 8, None, tools=False
    ).opening
    exchange = Exchange(
        trace_id="t", ts=0.0, route="r", stream=True, mode="cascade", pinned=False, opening=opening,
        status=200, outcome=Outcome.SERVED, total_s=0.1,
    )  # fmt: skip

    assert opening is not None
    assert opening.nats == (-50.0, -50.0, 0.0)
    found = decode_exchange(encode(exchange)).opening
    assert isinstance(found, Opening)
    assert found == opening
