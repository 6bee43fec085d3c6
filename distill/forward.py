# ruff: noqa: N806, N815 - tensors carry their axes in their names
"""Logits where a batch decides: the prefix computed once, the vocabulary only where asked.

Training on two cores is bound by matrix products, so tokens not computed are time: the prefix
(14 of about 51 tokens) runs once a batch and its keys and values are shared, with gradients.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill.examples import Batch, TaskTokens


@dataclass(frozen=True)
class DecisionLogits:
    """Logits over the whole vocabulary at a batch's positions of interest."""

    label_BV: Tensor
    digit_BV: Tensor
    template_NV: Tensor


def decision_logits(model: Any, batch: Batch, tokens: TaskTokens) -> DecisionLogits:  # noqa: ANN401
    """Runs a transformers causal LM on `batch` (after `tokens.prefix_ids`)."""
    rows = batch.ids_BT.shape[0]
    prefix_1P = torch.tensor([tokens.prefix_ids])
    shared = model.model(prefix_1P, use_cache=True).past_key_values
    shared.batch_repeat_interleave(rows)
    hidden_BTD = model.model(batch.ids_BT, past_key_values=shared, use_cache=True).last_hidden_state
    every_B = torch.arange(rows)
    row_N = torch.cat([every_B, every_B, batch.template_row_N])
    at_N = torch.cat([batch.label_at_B, batch.digit_at_B, batch.template_at_N])
    logits_NV = model.lm_head(hidden_BTD[row_N, at_N]).float()
    return DecisionLogits(
        label_BV=logits_NV[:rows],
        digit_BV=logits_NV[rows : 2 * rows],
        template_NV=logits_NV[2 * rows :],
    )
