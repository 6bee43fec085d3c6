# ruff: noqa: E402, N806 - torch may be absent: skip first; tensors carry their axes
"""Layers run in parts say what the whole model says, and teach what it would teach."""

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from distill.examples import Batch, Example, TaskTokens, collate
from distill.forward import DecisionLogits, decision_logits
from distill.layers import embedded, run_layers, run_to_top
from distill.losses import triage_loss
from distill.students import freeze_below
from distill.teacher import AdapterShape, with_adapter


@pytest.fixture
def batch(examples: list[Example], tokens: TaskTokens) -> Batch:
    """Three rows, the longest not the last, with the answer's template."""
    return collate([examples[0], examples[2], examples[1]], tokens, template=True)


def whole(model: Any, batch: Batch, tokens: TaskTokens) -> Any:
    """The final states of transformers' own forward, without the prefix: (B, T, D)."""
    head = len(tokens.prefix_ids)
    prefix_BP = torch.tensor([tokens.prefix_ids]).expand(len(batch.ids_BT), -1)
    ids_BT = torch.cat([prefix_BP, batch.ids_BT], dim=1)
    return model.model(ids_BT).last_hidden_state[:, head:]


def test_parts_of_a_model_say_what_the_whole_says(
    model: Any, batch: Batch, tokens: TaskTokens
) -> None:
    expected_BTD = whole(model.eval(), batch, tokens)
    below = run_layers(model, embedded(model, tokens.prefix_ids, batch.ids_BT), 0, 2)
    at_BQ = torch.stack([batch.label_at_B, batch.digit_at_B], dim=1)
    found_BQD = run_to_top(model, below, 2, at_BQ)

    rows = torch.arange(3)
    assert torch.allclose(found_BQD[:, 0], expected_BTD[rows, batch.label_at_B], atol=1e-5)
    assert torch.allclose(found_BQD[:, 1], expected_BTD[rows, batch.digit_at_B], atol=1e-5)


def test_logits_stand_where_the_batch_decides(model: Any, batch: Batch, tokens: TaskTokens) -> None:
    logits_BTV = model.lm_head(whole(model.eval(), batch, tokens))
    entering = embedded(model, tokens.prefix_ids, batch.ids_BT)
    found = decision_logits(model, entering, 0, batch)

    expected_NV = logits_BTV[batch.template_row_N, batch.template_at_N]
    assert torch.allclose(found.template_NV, expected_NV, atol=1e-5)
    rows = torch.arange(3)
    assert torch.allclose(found.label_BV, logits_BTV[rows, batch.label_at_B], atol=1e-5)
    assert torch.allclose(found.digit_BV, logits_BTV[rows, batch.digit_at_B], atol=1e-5)


def gradients(model: Any, loss: Any) -> dict[str, Any]:
    names, trained = zip(
        *((name, p) for name, p in model.named_parameters() if p.requires_grad), strict=True
    )
    return dict(zip(names, torch.autograd.grad(loss, trained), strict=True))


@pytest.mark.parametrize("kind", ["student", "teacher"])
def test_gradients_from_frozen_states_are_those_of_the_whole_model(
    model: Any, batch: Batch, tokens: TaskTokens, kind: str
) -> None:
    base = copy.deepcopy(model)
    with torch.no_grad():
        entering = run_layers(base, embedded(base, tokens.prefix_ids, batch.ids_BT), 0, 2)
    if kind == "student":
        freeze_below(model, 2)
        trained = core = model
    else:
        trained = with_adapter(model, AdapterShape(rank=2, alpha=4, first_layer=2), seed=0)
        core = trained.base_model.model
    for name, parameter in trained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)

    part = triage_loss(decision_logits(core, entering, 2, batch), batch, tokens, digit_weight=0.5)
    logits_BTV, rows = core.lm_head(whole(core, batch, tokens)), torch.arange(3)
    full = DecisionLogits(
        logits_BTV[rows, batch.label_at_B],
        logits_BTV[rows, batch.digit_at_B],
        logits_BTV[batch.template_row_N, batch.template_at_N],
    )
    expected = gradients(trained, triage_loss(full, batch, tokens, digit_weight=0.5))
    found = gradients(trained, part)

    assert len(found) == len(expected) > 10
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-5), name
