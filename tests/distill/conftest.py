# ruff: noqa: PLC0415 - torch may be absent: only fixtures that need it import it
"""Toy models and a toy task: everything here runs in seconds and needs no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from serving.triage.task import Answer, Sentiment

if TYPE_CHECKING:  # without torch the modules here skip themselves, this one must still load
    from distill.examples import Example, TaskTokens

LABELS = tuple(range(40, 43))
DIGITS = tuple(range(50, 55))


@pytest.fixture
def tokens() -> TaskTokens:
    """A vocabulary of 64: prefix 1 2 3; answers are 10 LABEL 11 12 DIGIT 13."""
    from distill.examples import TaskTokens

    answers = {
        Answer(label, digit): (10, LABELS[at], 11, 12, DIGITS[digit], 13)
        for at, label in enumerate(Sentiment)
        for digit in range(5)
    }
    return TaskTokens(
        prefix_ids=(1, 2, 3),
        answer_ids=answers,
        label_ids=LABELS,
        digit_ids=DIGITS,
        label_at=1,
        digit_at=4,
    )


@pytest.fixture
def examples() -> list[Example]:
    """Twelve rows of three lengths, with soft targets."""
    import torch

    from distill.examples import Example

    dice = torch.Generator().manual_seed(0)
    rows = []
    for at in range(12):
        text = torch.randint(14, 40, (4 + at % 3,), generator=dice).tolist()
        label = list(Sentiment)[at % 3]
        sentiment = torch.rand(3, generator=dice).softmax(-1).tolist()
        intensity = torch.rand(5, generator=dice).softmax(-1).tolist()
        answer = Answer(label, at % 5)
        rows.append(Example(f"row-{at}", tuple(text), answer, tuple(sentiment), tuple(intensity)))
    return rows


@pytest.fixture
def model() -> Any:
    """A random Llama of four layers, tied embeddings, grouped-query attention."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    settings = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    return LlamaForCausalLM(settings)
