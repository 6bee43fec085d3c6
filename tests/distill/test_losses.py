# ruff: noqa: E402 - torch may be absent: skip first; tensors carry their axes
"""Losses against plain float64 arithmetic and finite differences."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from distill.examples import Example, TaskTokens, collate
from distill.forward import decision_logits
from distill.layers import embedded
from distill.losses import symbol_kl, triage_loss

SYMBOLS = (2, 5, 6)


def dense_kl(logits: np.ndarray, target: np.ndarray) -> float:
    """KL over the whole vocabulary, written out."""
    q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p = np.zeros_like(q)
    p[:, list(SYMBOLS)] = target
    terms = np.where(p > 0, p * (np.log(np.where(p > 0, p, 1)) - np.log(q)), 0)
    return float(terms.sum(-1).mean())


def draws() -> tuple[Any, Any]:
    dice = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 9, generator=dice, dtype=torch.float64)
    target = torch.rand(7, 3, generator=dice, dtype=torch.float64)
    return logits, target / target.sum(-1, keepdim=True)


def test_symbol_kl_is_the_dense_kl() -> None:
    logits, target = draws()
    assert float(symbol_kl(logits, SYMBOLS, target)) == pytest.approx(
        dense_kl(logits.numpy(), target.numpy()), abs=1e-12
    )


def test_a_certain_target_is_cross_entropy() -> None:
    logits, _ = draws()
    target = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64).expand(7, -1)
    expected = torch.nn.functional.cross_entropy(logits, torch.full((7,), SYMBOLS[1]))
    assert float(symbol_kl(logits, SYMBOLS, target)) == pytest.approx(float(expected))


def test_a_perfect_model_loses_nothing() -> None:
    _, target = draws()
    logits = torch.full((7, 9), -200.0, dtype=torch.float64)
    logits[:, list(SYMBOLS)] = target.log()
    assert float(symbol_kl(logits, SYMBOLS, target)) == pytest.approx(0, abs=1e-12)


def test_mass_outside_the_symbols_is_punished() -> None:
    _, target = draws()
    logits = torch.zeros(7, 9, dtype=torch.float64)
    logits[:, list(SYMBOLS)] = target.log()
    stray = logits.clone()
    stray[:, 0] = 5.0
    assert symbol_kl(stray, SYMBOLS, target) > symbol_kl(logits, SYMBOLS, target)


def test_gradients_match_finite_differences() -> None:
    logits, target = draws()
    assert torch.autograd.gradcheck(
        lambda x: symbol_kl(x, SYMBOLS, target), (logits.requires_grad_(),)
    )


def test_the_template_counts_only_where_it_was_asked_for(
    model: Any, examples: list[Example], tokens: TaskTokens
) -> None:
    losses = []
    for template in (False, True):
        batch = collate(examples, tokens, template=template)
        entering = embedded(model, tokens.prefix_ids, batch.ids_BT)
        logits = decision_logits(model, entering, 0, batch)
        losses.append(triage_loss(logits, batch, tokens, digit_weight=0.5).item())
    assert losses[1] > losses[0] + 1
