# ruff: noqa: E402, N806 - torch may be absent: skip first; tensors carry their axes
"""The teacher's soft labels."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from distill.examples import Example, TaskTokens
from distill.teacher import AdapterShape, SoftLabel, distilled, soft_labels, with_adapter
from serving.triage.task import Answer, Sentiment


def test_every_text_is_labelled_once(
    model: Any, examples: list[Example], tokens: TaskTokens
) -> None:
    labels = [label for batch in soft_labels(model, examples, tokens, rows=3) for label in batch]
    assert sorted(label.id for label in labels) == sorted(example.id for example in examples)
    for label in labels:
        assert sum(label.sentiment_S) == pytest.approx(1, abs=1e-5)
        assert sum(label.intensity_S) == pytest.approx(1, abs=1e-5)


def test_soft_labels_are_what_the_model_says_of_the_text_alone(
    model: Any, examples: list[Example], tokens: TaskTokens
) -> None:
    labels = {
        label.id: label for batch in soft_labels(model, examples, tokens, rows=3) for label in batch
    }
    for example in examples[:4]:
        label = labels[example.id]
        answer = tokens.answer_ids[Answer(label.answer.sentiment, 0)]
        ids = [*tokens.prefix_ids, *example.text_ids, *answer[: tokens.digit_at]]
        logits_TV = model(torch.tensor([ids])).logits[0]
        label_V = logits_TV[len(ids) - tokens.digit_at + tokens.label_at - 1]
        expected_S = label_V[list(tokens.label_ids)].softmax(-1)
        assert torch.allclose(torch.tensor(label.sentiment_S), expected_S, atol=1e-5)
        expected_S = logits_TV[-1][list(tokens.digit_ids)].softmax(-1)
        assert torch.allclose(torch.tensor(label.intensity_S), expected_S, atol=1e-5)


def test_the_greedy_answer_is_the_most_probable_of_both() -> None:
    label = SoftLabel("x", (0.2, 0.1, 0.7), (0, 0.1, 0.2, 0.6, 0.1))
    assert label.answer == Answer(Sentiment.POSITIVE, 3)


def test_a_distilled_row_states_the_teachers_answer_and_mixes_the_targets() -> None:
    row = Example("x", (5,), Answer(Sentiment.NEGATIVE, 1), (1.0, 0.0, 0.0), (0, 1.0, 0, 0, 0))
    label = SoftLabel("x", (0.0, 0.0, 1.0), (0, 0, 1.0, 0, 0))
    found = distilled(row, label, teacher_share=0.75)
    assert found.answer == Answer(Sentiment.POSITIVE, 2)
    assert found.sentiment_S == pytest.approx((0.25, 0.0, 0.75))
    assert found.intensity_S == label.intensity_S


def test_a_fresh_adapter_changes_nothing_and_sits_on_the_upper_layers(model: Any) -> None:
    ids = torch.arange(14, 24)[None]
    before = model.eval()(ids).logits.clone()
    adapted = with_adapter(model, AdapterShape(rank=2, alpha=4, first_layer=2), seed=0)
    trained = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 7 * 2
    assert not any(".layers.0." in name or ".layers.1." in name for name in trained)
    assert torch.allclose(adapted.eval()(ids).logits, before, atol=1e-6)
