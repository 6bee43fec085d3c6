import math
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.deciding import DecidingTokens
from router.gate import AnswerGate, ConfidenceGate, GateRule, Signal, Verdict

SURE, UNSURE = -0.01, -4.0
Token = tuple[bytes, float]

# Near the thresholds on purpose: values uniform in [-50, 0] almost never flip a ruling.
logprobs = st.sampled_from([SURE, UNSURE]) | st.floats(min_value=-50, max_value=0)
pieces = st.sampled_from([b'{"a":', b'"neg', b'"', b",", b'"b":', b"2", b"}", b" ", b"word", b""])
answers = st.lists(st.tuples(pieces, logprobs), max_size=12)
thresholds = st.sampled_from([0.05, 0.5, 0.9]) | st.floats(min_value=1e-6, max_value=1.0)
windows = st.none() | st.integers(min_value=1, max_value=16)
labels = st.sampled_from([None, "a", "b"])
rules = st.builds(GateRule, st.sampled_from(Signal), thresholds, windows, labels)


def rule(
    *, threshold: float = 0.5, window: int | None = None, label: str | None = None
) -> GateRule:
    return GateRule(Signal.MEAN_PROBABILITY, threshold, window, label)


def heard(the_rule: GateRule, *tokens: Token) -> ConfidenceGate:
    gate = ConfidenceGate(the_rule)
    for token, logprob in tokens:
        gate.feed(token, logprob)
    return gate


TEMPLATE: list[Token] = [(b'{"', SURE), (b"label", SURE), (b'":"', SURE)]


def test_the_template_around_a_doubtful_value_does_not_vouch_for_it() -> None:
    gate = heard(rule(), *TEMPLATE, (b"neg", UNSURE), (b'"}', SURE))

    assert gate.finish() is Verdict.ESCALATE
    assert gate.confidence == pytest.approx(math.exp(UNSURE))
    assert (gate.tokens, gate.deciding) == (5, 1)


def test_a_doubtful_template_does_not_condemn_a_sure_value() -> None:
    gate = heard(rule(), (b'{"label', UNSURE), (b'":"', UNSURE), (b"neg", SURE), (b'"}', UNSURE))

    assert gate.finish() is Verdict.COMMIT


def test_a_full_window_rules() -> None:
    gate = ConfidenceGate(rule(window=2))

    assert gate.feed(b"It", SURE) is Verdict.WAIT
    assert gate.feed(b" is", SURE) is Verdict.COMMIT


def test_a_complete_label_rules_before_the_window_is_full() -> None:
    gate = heard(rule(window=99, label="label"), *TEMPLATE)

    assert gate.feed(b"pos", SURE) is Verdict.WAIT
    assert gate.feed(b'","', SURE) is Verdict.COMMIT
    assert gate.tokens == 5


def test_without_a_window_a_complete_label_waits_for_the_end_with_the_same_confidence() -> None:
    tokens = [*TEMPLATE, (b"pos", -0.2), (b'","', UNSURE), (b"x", UNSURE)]
    early, late = (
        heard(rule(window=99, label="label"), *tokens),
        heard(rule(label="label"), *tokens),
    )

    assert late.verdict is Verdict.WAIT
    assert late.finish() is early.verdict is Verdict.COMMIT
    assert late.confidence == early.confidence == pytest.approx(math.exp(-0.2))


def test_a_full_window_of_template_waits_for_the_first_value_to_end() -> None:
    gate = heard(rule(window=2), *TEMPLATE, (b"neg", SURE))

    assert gate.verdict is Verdict.WAIT
    assert gate.feed(b"ative", UNSURE) is Verdict.WAIT
    assert gate.feed(b'"', SURE) is Verdict.ESCALATE
    assert gate.confidence == pytest.approx(math.exp((SURE + UNSURE) / 2))


def test_prose_after_a_window_of_whitespace_rules_at_its_first_word() -> None:
    assert heard(rule(window=1), (b"\n", SURE), (b"Yes", SURE)).verdict is Verdict.COMMIT


def test_a_short_sure_answer_commits_at_its_end() -> None:
    assert heard(rule(window=24), (b"ok", SURE)).finish() is Verdict.COMMIT


def test_an_answer_without_any_logprob_escalates_and_has_no_confidence() -> None:
    gate = ConfidenceGate(rule())

    assert gate.finish() is Verdict.ESCALATE
    assert gate.confidence is None


def test_an_answer_without_a_deciding_token_escalates_with_no_confidence_at_all() -> None:
    gate = heard(rule(), (b"<|im_end|>", SURE))

    assert gate.finish() is Verdict.ESCALATE
    assert gate.confidence == 0.0


def test_a_confidence_of_exactly_the_threshold_commits() -> None:
    gate = heard(rule(threshold=math.exp(-0.25)), (b"x", -0.25))

    assert gate.finish() is Verdict.COMMIT


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"threshold": 0.0}, "threshold must be in"),
        ({"threshold": 1.5}, "got 1.5"),
        ({"threshold": math.nan}, "got nan"),
        ({"window": 0}, "window_tokens must be at least 1"),
        ({"label": ""}, "label must name a JSON field"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rule(**wrong)  # type: ignore[arg-type]


@given(answers, rules, thresholds, thresholds)
def test_a_stricter_threshold_never_turns_an_escalation_into_a_commit(
    tokens: list[Token], any_rule: GateRule, a: float, b: float
) -> None:
    lenient, strict = (
        heard(replace(any_rule, threshold=threshold), *tokens) for threshold in sorted((a, b))
    )
    if lenient.finish() is Verdict.ESCALATE:
        assert strict.finish() is Verdict.ESCALATE
    strict.finish()
    assert lenient.confidence == strict.confidence


@example([(b"a", SURE)], [(b"b", UNSURE)] * 3, rule(window=4))  # ruled early, then it fills
@given(answers, answers, rules)
def test_tokens_after_the_ruling_do_not_change_it(
    first: list[Token], later: list[Token], any_rule: GateRule
) -> None:
    gate = heard(any_rule, *first)
    ruled = gate.finish()
    seen = (gate.confidence, gate.tokens, gate.deciding)
    for token, logprob in later:
        assert gate.feed(token, logprob) is ruled
    assert gate.finish() is ruled
    assert (gate.confidence, gate.tokens, gate.deciding) == seen


@given(answers, rules)
def test_it_commits_exactly_when_the_confidence_it_reports_meets_the_threshold(
    tokens: list[Token], any_rule: GateRule
) -> None:
    gate = heard(any_rule, *tokens)
    sure = gate.finish() is Verdict.COMMIT

    assert sure == (gate.confidence is not None and gate.confidence >= any_rule.threshold)


def test_several_choices_commit_only_together() -> None:
    gate = AnswerGate(rule(window=1), choices=2)

    assert gate.feed(0, b"yes", SURE) is Verdict.WAIT
    assert gate.feed(1, b"no", -0.3) is Verdict.COMMIT
    assert gate.confidence == pytest.approx(math.exp(-0.3))
    assert gate.tokens == gate.deciding == 2


def test_one_doubtful_choice_escalates_all_at_once() -> None:
    gate = AnswerGate(rule(window=1), choices=3)
    gate.feed(0, b"yes", SURE)

    assert gate.feed(2, b"no", UNSURE) is Verdict.ESCALATE
    assert gate.feed(1, b"yes", SURE) is Verdict.ESCALATE
    assert gate.finish() is Verdict.ESCALATE
    assert gate.confidence == pytest.approx(math.exp(UNSURE))


def test_a_choice_without_logprobs_leaves_the_answer_without_a_signal() -> None:
    gate = AnswerGate(rule(), choices=2)
    gate.feed(0, b"yes", SURE)

    assert gate.finish() is Verdict.ESCALATE
    assert gate.confidence is None


def test_a_choice_that_was_not_asked_for_is_refused() -> None:
    gate = AnswerGate(rule(), choices=1)

    with pytest.raises(ValueError, match=r"choice must be in 0\.\.0, got 1"):
        gate.feed(1, b"yes", SURE)
    with pytest.raises(ValueError, match="choices must be at least 1, got 0"):
        AnswerGate(rule(), choices=0)


@given(answers, rules)
def test_one_choice_is_ruled_on_like_the_answer_alone(
    tokens: list[Token], any_rule: GateRule
) -> None:
    alone, one = heard(any_rule, *tokens), AnswerGate(any_rule, choices=1)
    for token, logprob in tokens:
        one.feed(0, token, logprob)

    assert one.finish() is alone.finish()
    assert (one.confidence, one.tokens) == (alone.confidence, alone.tokens)


# Tools and reasoning

CALL: list[Token] = [
    (b"<tool_call>", SURE),
    (b'{"name": "', SURE),
    (b"weather", SURE),
    (b'", "arguments": {"city": "', SURE),
    (b"Bonn", UNSURE),
    (b'"}}', SURE),
]


def test_a_window_that_ends_inside_a_call_waits_for_the_end_of_the_answer() -> None:
    gate = ConfidenceGate(rule(window=2), tools=True)
    for token, logprob in [*CALL, (b"</tool_call>", SURE), *CALL]:
        assert gate.feed(token, logprob) is Verdict.WAIT

    assert gate.finish() is Verdict.ESCALATE
    assert gate.confidence == pytest.approx(math.exp((SURE + UNSURE) / 2))
    assert gate.deciding == 4


def test_prose_is_ruled_on_at_the_window_where_a_call_might_have_come() -> None:
    gate = ConfidenceGate(rule(window=2), tools=True)
    gate.feed(b"It", SURE)

    assert gate.feed(b" rains", SURE) is Verdict.COMMIT


def test_what_was_said_before_a_call_does_not_vouch_for_it() -> None:
    gate = ConfidenceGate(rule(threshold=0.3), tools=True)
    for token, logprob in [(b"Let me see.", SURE)] * 9 + CALL:
        gate.feed(token, logprob)

    assert gate.finish() is Verdict.ESCALATE
    assert (gate.tokens, gate.deciding) == (15, 2)


def test_the_window_begins_after_the_reasoning() -> None:
    thought: list[Token] = [(b"<think>", SURE), *[(b"Hm", UNSURE)] * 9, (b"</think>", SURE)]
    gate = heard(rule(window=2), *thought, (b"It", SURE))

    assert gate.verdict is Verdict.WAIT
    assert gate.feed(b" is", SURE) is Verdict.COMMIT
    assert gate.confidence == pytest.approx(math.exp(SURE))


def test_reasoning_that_the_engine_told_apart_does_not_fill_the_window_either() -> None:
    gate = AnswerGate(rule(window=2), choices=1)
    gate.reasoned(0, 50)
    gate.feed(0, b"It", SURE)

    assert gate.verdict is Verdict.WAIT
    assert gate.feed(0, b" is", SURE) is Verdict.COMMIT
    assert gate.tokens == 52
    gate.reasoned(0, 50)
    assert gate.tokens == 52
    with pytest.raises(ValueError, match=r"choice must be in 0\.\.0, got 1"):
        gate.reasoned(1, 1)


def test_an_answer_of_nothing_but_reasoning_has_no_confidence_at_all() -> None:
    gate = heard(rule(), (b"<think>", SURE), (b"Hm", SURE))

    assert gate.finish() is Verdict.ESCALATE
    assert gate.confidence == 0.0


def test_each_choice_has_a_confidence_of_its_own() -> None:
    gate = AnswerGate(rule(), choices=3)
    gate.feed(0, b"yes", SURE)
    gate.feed(2, b"no", UNSURE)
    gate.finish()

    assert gate.confidences == (math.exp(SURE), None, math.exp(UNSURE))


markup = st.sampled_from(
    [b"<think>", b"</think>", b"<tool_call>", b"[TOOL_CALLS]", b"<", b"[", b'{"name":"', b"f", b'"']
)
marked_answers = st.lists(st.tuples(pieces | markup, logprobs), max_size=16)


@given(marked_answers, rules, st.booleans())
def test_the_gate_counts_what_the_scan_finds(
    tokens: list[Token],
    any_rule: GateRule,
    tools: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    whole = replace(any_rule, window_tokens=None)
    gate, scan = ConfidenceGate(whole, tools=tools), DecidingTokens(any_rule.label, tools=tools)
    found, restarts = 0, 0
    for token, logprob in tokens:
        gate.feed(token, logprob)
        decides = scan.feed(token)
        if scan.restarts != restarts:
            found, restarts = 0, scan.restarts
        found += decides
        assert gate.deciding == found


# What it costs


def calls_of(run: Callable[[], object]) -> int:
    """The router's functions entered while it runs: no load on the machine changes that."""
    entered = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal entered
        ours = str(frame.f_globals.get("__name__")).startswith("router.")
        entered += event == "call" and ours

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
    return entered


def calls_a_token(
    *tokens: bytes, before: bytes = b"", tools: bool = False, label: str | None = None
) -> float:
    gate = AnswerGate(rule(label=label), choices=1, tools=tools)
    gate.feed(0, before, SURE)
    fed = [(token, SURE) for token in tokens]

    return (calls_of(lambda: gate.feed_all(0, fed)) - 2) / len(tokens)  # `feed_all` itself, twice


def test_a_token_of_prose_costs_no_call() -> None:
    assert calls_a_token(*[b" word"] * 1000, before=b"A") == 0
    assert calls_a_token(*[b" word"] * 1000, before=b"A", tools=True) == 0


def test_a_token_inside_a_long_json_string_costs_four_calls_however_long_it_is() -> None:
    assert calls_a_token(*[b" word"] * 1000, before=b'{"a":"') == 4
    assert calls_a_token(*[b" word" * 100] * 1000, before=b'{"a":"') == 4


def test_what_is_after_the_label_costs_no_call_and_what_is_quoted_the_same_at_any_length() -> None:
    assert calls_a_token(*[b',"b":"word'] * 1000, before=b'{"a":"x"', label="a") == 0
    assert calls_a_token(b'{"k":"v"}') == calls_a_token(b'{"kkkkkkkkkkk":"vvvvvvvvvvvvv"}')


@given(marked_answers, rules)
def test_tokens_fed_together_are_ruled_on_as_one_by_one(
    tokens: list[tuple[bytes, float]], any_rule: GateRule
) -> None:
    one_by_one, together = (AnswerGate(any_rule, choices=1) for _ in range(2))
    for token, nats in tokens:
        one_by_one.feed(0, token, nats)
    together.feed_all(0, tokens)

    assert (one_by_one.finish(), one_by_one.confidence, one_by_one.tokens) == (
        together.finish(),
        together.confidence,
        together.tokens,
    )


@pytest.mark.parametrize("tools", [False, True])
@pytest.mark.parametrize(
    "unit",
    [b'{"a":[', b'"\\', b"<tool_call>[", b"<think>", b"[T", b"<|", b"`", b"<parameter=a>", b"f(x="],
)
def test_the_cost_of_an_answer_grows_with_its_bytes_and_no_faster(
    unit: bytes,
    tools: bool,  # noqa: FBT001 - a column of the table
) -> None:
    for before in (b"", b"A", b"<tool_call>"):
        short, long = (
            calls_a_token(unit * repeats, before=before, tools=tools) for repeats in (100, 1000)
        )
        assert long <= 11 * short
        assert long <= 4 * 1000 * len(unit)
