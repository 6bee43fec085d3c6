# ruff: noqa: E402, N806 - torch may be absent: skip first; tensors carry their axes
"""The teacher's soft labels."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from distill.examples import Example, TaskTokens
from distill.states import FrozenStates, keep_states
from distill.teacher import (
    AdapterShape,
    SoftLabel,
    distilled,
    read_soft_labels,
    save_soft_labels,
    soft_labels,
    with_adapter,
)
from serving.triage.task import Answer, Sentiment


@pytest.fixture
def states(model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path) -> FrozenStates:
    return keep_states(model, examples, tokens, 2, tmp_path)


def labelled(
    model: Any, examples: list[Example], states: FrozenStates, tokens: TaskTokens
) -> dict[str, SoftLabel]:
    batches = soft_labels(model, examples, range(len(examples)), states, tokens, rows=3)
    found = [label for batch in batches for label in batch]
    by_id = {label.id: label for label in found}
    assert len(by_id) == len(found)
    return by_id


def test_every_text_is_labelled_once(
    model: Any, examples: list[Example], states: FrozenStates, tokens: TaskTokens
) -> None:
    labels = labelled(model, examples, states, tokens)
    assert set(labels) == {example.id for example in examples}
    for label in labels.values():
        assert sum(label.sentiment_S) == pytest.approx(1, abs=1e-5)
        assert sum(label.intensity_S) == pytest.approx(1, abs=1e-5)


def test_only_chosen_texts_are_labelled(
    model: Any, examples: list[Example], states: FrozenStates, tokens: TaskTokens
) -> None:
    (batch,) = soft_labels(model, examples, [3, 8], states, tokens)
    assert {label.id for label in batch} == {examples[3].id, examples[8].id}


def test_soft_labels_are_what_the_model_says_of_the_row_alone(
    model: Any, examples: list[Example], states: FrozenStates, tokens: TaskTokens
) -> None:
    labels = labelled(model, examples, states, tokens)
    for example in examples[:4]:
        label = labels[example.id]
        answer = tokens.answer_ids[example.answer]
        ids = [*tokens.prefix_ids, *example.text_ids, *answer[: tokens.digit_at]]
        logits_TV = model(torch.tensor([ids])).logits[0]
        label_V = logits_TV[len(ids) - tokens.digit_at + tokens.label_at - 1]
        expected_S = label_V[list(tokens.label_ids)].softmax(-1)
        assert torch.allclose(torch.tensor(label.sentiment_S), expected_S, atol=1e-3)
        expected_S = logits_TV[-1][list(tokens.digit_ids)].softmax(-1)
        assert torch.allclose(torch.tensor(label.intensity_S), expected_S, atol=1e-3)


def test_the_greedy_sentiment_is_the_most_probable() -> None:
    label = SoftLabel("x", (0.2, 0.1, 0.7), (0, 0.1, 0.2, 0.6, 0.1))
    assert label.sentiment is Sentiment.POSITIVE


def test_soft_labels_are_read_as_they_were_saved(tmp_path: Path) -> None:
    first, second = (SoftLabel(name, (0.2, 0.1, 0.7), (0, 0.1, 0.2, 0.6, 0.1)) for name in "ab")
    assert read_soft_labels(tmp_path / "labels") == []
    save_soft_labels([first], tmp_path / "labels")
    save_soft_labels([second], tmp_path / "labels", mode="a")
    assert read_soft_labels(tmp_path / "labels") == [first, second]


def test_a_distilled_row_mixes_the_targets_and_keeps_its_answer() -> None:
    row = Example("x", (5,), Answer(Sentiment.NEGATIVE, 1), (1.0, 0.0, 0.0), (0, 1.0, 0, 0, 0))
    label = SoftLabel("x", (0.0, 0.0, 1.0), (0, 0, 1.0, 0, 0))
    found = distilled(row, label, teacher_share=0.75)
    assert found.answer == row.answer
    assert found.sentiment_S == pytest.approx((0.25, 0.0, 0.75))
    assert found.intensity_S == pytest.approx((0, 0.25, 0.75, 0, 0))


def test_a_fresh_adapter_changes_nothing_and_sits_on_the_upper_layers(model: Any) -> None:
    ids = torch.arange(14, 24)[None]
    before = model.eval()(ids).logits.clone()
    adapted = with_adapter(model, AdapterShape(rank=2, alpha=4, first_layer=2), seed=0)
    trained = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 7 * 2
    assert not any(".layers.0." in name or ".layers.1." in name for name in trained)
    assert torch.allclose(adapted.eval()(ids).logits, before, atol=1e-6)
