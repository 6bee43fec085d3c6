# ruff: noqa: N806, N815 - tensors carry their axes in their names
"""Logits where a batch decides: trained layers only, the vocabulary only where asked.

Training on two cores is bound by matrix products, so tokens not computed are time: frozen layers
come from `distill.states`, the prefix (15 of about 52 tokens) runs once a batch with gradients, and
in the topmost layer only the positions that decide ask.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill.examples import Batch
from distill.layers import States, run_to_top


@dataclass(frozen=True)
class DecisionLogits:
    """Logits over the whole vocabulary at a batch's positions of interest."""

    label_BV: Tensor
    digit_BV: Tensor
    template_NV: Tensor


def decision_logits(
    model: Any,  # noqa: ANN401 - transformers is untyped here
    entering: States,
    height: int,
    batch: Batch,
) -> DecisionLogits:
    """Runs a transformers causal LM on `batch` from the states that enter layer `height`."""
    rows = len(batch.label_at_B)
    asked_at_BQ = torch.cat(
        [
            batch.label_at_B[:, None],
            batch.digit_at_B[:, None],
            batch.template_at_N.view(rows, -1),
        ],
        dim=1,
    )
    hidden_BQD = run_to_top(model, entering, height, asked_at_BQ)
    logits_BQV = model.lm_head(hidden_BQD).float()
    return DecisionLogits(
        label_BV=logits_BQV[:, 0],
        digit_BV=logits_BQV[:, 1],
        template_NV=logits_BQV[:, 2:].flatten(0, 1),
    )
