# ruff: noqa: E402 - torch may be absent: skip before importing what needs it
"""Rows, batches and their order."""

from itertools import chain

import pytest

torch = pytest.importorskip("torch")

from distill.examples import (
    Example,
    TaskTokens,
    TokenBoundary,
    bucketed,
    collate,
    gold_examples,
    task_tokens,
    with_targets,
)
from serving.triage.dataset import Feedback, Source
from serving.triage.task import Answer, Sentiment


class Characters:
    """A tokenizer with one token a character, so that no label is one token."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **_: object) -> str:
        return "".join(f"<{m['role']}>{m['content']}" for m in conversation) + "<assistant>"

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


class Words(Characters):
    """Splits where SmolLM2's tokenizer does, as far as this task goes."""

    CUTS = ("<user>", "<assistant>", '"negative"', '"neutral"', '"positive"', *"01234 {}:,")

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        for cut in self.CUTS:
            text = text.replace(cut, f"\0{cut}\0")
        pieces = [piece for piece in text.split("\0") if piece]
        return {"input_ids": [self.known.setdefault(piece, len(self.known)) for piece in pieces]}


def test_the_task_is_found_in_any_tokenizer_that_keeps_labels_whole() -> None:
    tokens = task_tokens(Words())
    assert len(set(tokens.label_ids)) == 3
    assert len(set(tokens.digit_ids)) == 5
    answer = tokens.answer_ids[Answer(Sentiment.POSITIVE, 3)]
    assert answer[tokens.label_at] == tokens.label_ids[2]
    assert answer[tokens.digit_at] == tokens.digit_ids[3]


def test_a_tokenizer_that_cuts_labels_is_refused() -> None:
    with pytest.raises(TokenBoundary):
        task_tokens(Characters())


def test_a_gold_row_states_the_raters_answer() -> None:
    tokenizer = Words()
    tokens = task_tokens(tokenizer)
    counts = (0, 0, 10, 10, 0, 0, 0, 0, 0)
    item = Feedback("movie-1", "movie-1", Source.MOVIE, "dull and long", counts)
    (row,) = gold_examples([item], tokenizer, tokens)
    assert row.answer == item.gold
    assert sum(row.sentiment_S) == pytest.approx(1)
    assert sum(row.intensity_S) == pytest.approx(1)
    assert row.sentiment_S[0] > 0.99


def test_the_digits_target_is_conditional_on_the_stated_sentiment() -> None:
    row = Example("x", (5,), Answer(Sentiment.NEGATIVE, 1), (), ())
    odds = {
        Answer(Sentiment.NEGATIVE, 1): 0.3,
        Answer(Sentiment.NEGATIVE, 2): 0.1,
        Answer(Sentiment.NEUTRAL, 0): 0.6,
    }
    found = with_targets(row, odds)
    assert found.sentiment_S == pytest.approx((0.4, 0.6, 0.0))
    assert found.intensity_S == pytest.approx((0, 0.75, 0.25, 0, 0))


@pytest.mark.parametrize("template", [True, False])
def test_positions_point_at_the_token_before_what_they_predict(
    examples: list[Example], tokens: TaskTokens, *, template: bool
) -> None:
    batch = collate(examples, tokens, template=template)
    for at, example in enumerate(examples):
        whole = [*example.text_ids, *tokens.answer_ids[example.answer]]
        assert whole[int(batch.label_at_B[at]) + 1] in tokens.label_ids
        assert whole[int(batch.digit_at_B[at]) + 1] in tokens.digit_ids
        assert int(batch.digit_at_B[at]) < batch.ids_BT.shape[1]
    for row, at, token in zip(
        batch.template_row_N, batch.template_at_N, batch.template_id_N, strict=True
    ):
        example = examples[int(row)]
        whole = [*example.text_ids, *tokens.answer_ids[example.answer]]
        assert whole[int(at) + 1] == int(token)
    assert len(batch.template_id_N) == (len(examples) * 4 if template else 0)


def test_every_row_comes_once_an_epoch() -> None:
    lengths = [at % 17 for at in range(103)]
    plan = bucketed(lengths, rows=8, epochs=2, seed=3, pool=4)
    assert sorted(chain.from_iterable(plan)) == sorted([*range(103), *range(103)])


def test_rows_of_a_batch_are_alike_in_length() -> None:
    lengths = [at % 50 for at in range(1000)]
    plan = bucketed(lengths, rows=10, epochs=1, seed=0)
    spreads = [max(lengths[i] for i in rows) - min(lengths[i] for i in rows) for rows in plan]
    assert sum(spreads) / len(spreads) < 2


def test_a_part_of_an_epoch_is_its_beginning() -> None:
    lengths = list(range(100))
    whole = bucketed(lengths, rows=10, epochs=1, seed=0)
    assert bucketed(lengths, rows=10, epochs=0.5, seed=0) == whole[:5]


def test_the_plan_depends_on_the_seed_alone() -> None:
    lengths = list(range(100))
    assert bucketed(lengths, rows=10, epochs=1, seed=0) == bucketed(
        lengths, rows=10, epochs=1, seed=0
    )
    assert bucketed(lengths, rows=10, epochs=1, seed=0) != bucketed(
        lengths, rows=10, epochs=1, seed=1
    )
