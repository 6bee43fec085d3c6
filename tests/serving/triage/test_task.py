"""The contract of the task: answers as bytes and back, gold from ratings, a panel's doubt."""

import json

import pytest

from serving.triage.task import (
    ANSWER_SCHEMA,
    Answer,
    NotAnAnswer,
    Sentiment,
    answer_text,
    gold,
    messages,
    panel_distribution,
    parse_answer,
)

EVERY_ANSWER = [Answer(label, digit) for label in Sentiment for digit in range(5)]


def test_an_answer_is_compact_json_with_keys_in_order() -> None:
    assert answer_text(Sentiment.NEGATIVE, 2) == '{"sentiment":"negative","intensity":2}'


@pytest.mark.parametrize("answer", EVERY_ANSWER, ids=str)
def test_every_answer_survives_being_written_and_read(answer: Answer) -> None:
    assert parse_answer(str(answer)) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "negative",
        '{"sentiment": "negative", "intensity": 2}',
        '{"sentiment":"bad","intensity":2}',
        '{"sentiment":"negative","intensity":5}',
        '{"sentiment":"negative","intensity":2} and more',
    ],
)
def test_anything_but_the_exact_form_is_refused(text: str) -> None:
    with pytest.raises(NotAnAnswer):
        parse_answer(text)


def test_a_long_wrong_answer_is_quoted_only_in_part() -> None:
    with pytest.raises(NotAnAnswer) as caught:
        parse_answer("x" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (-3.9, Answer(Sentiment.NEGATIVE, 4)),
        (-0.51, Answer(Sentiment.NEGATIVE, 1)),
        (-0.5, Answer(Sentiment.NEUTRAL, 0)),
        (0.0, Answer(Sentiment.NEUTRAL, 0)),
        (0.5, Answer(Sentiment.NEUTRAL, 0)),
        (0.51, Answer(Sentiment.POSITIVE, 1)),
        (2.6, Answer(Sentiment.POSITIVE, 3)),
    ],
)
def test_gold_cuts_at_half_a_point_and_rounds_the_strength(mean: float, expected: Answer) -> None:
    assert gold(mean) == expected


def test_neutral_and_intensity_zero_are_the_same_texts() -> None:
    for hundredths in range(-400, 401):
        answer = gold(hundredths / 100)
        assert (answer.sentiment is Sentiment.NEUTRAL) == (answer.intensity == 0)


def test_a_panel_that_agrees_leaves_no_doubt() -> None:
    odds = panel_distribution(2.0, 0.0, 20)
    assert odds[gold(2.0)] == pytest.approx(1.0)


def test_a_borderline_mean_is_shared_between_its_neighbours() -> None:
    odds = panel_distribution(-0.5, 1.0, 20)
    assert odds[Answer(Sentiment.NEGATIVE, 1)] == pytest.approx(0.5, abs=0.01)
    assert odds[Answer(Sentiment.NEUTRAL, 0)] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("mean", [-4.0, -1.3, 0.0, 0.2, 3.7])
def test_a_panels_odds_sum_to_one_over_distinct_answers(mean: float) -> None:
    odds = panel_distribution(mean, 1.2, 15)
    assert len(odds) == 9
    assert sum(odds.values()) == pytest.approx(1.0)


def test_the_prompt_is_one_system_and_one_user_message() -> None:
    assert [m["role"] for m in messages("hello")] == ["system", "user"]
    assert messages("hello")[1]["content"] == "hello"


def test_the_schema_names_every_label() -> None:
    written = json.dumps(ANSWER_SCHEMA)
    assert all(f'"{label.value}"' in written for label in Sentiment)
