# ruff: noqa: N803, N806 - tensors carry their axes in their names
"""What a model is trained to minimise, in nats."""

import torch
from torch import Tensor
from torch.nn import functional

from distill.examples import Batch, TaskTokens
from distill.forward import DecisionLogits


def symbol_kl(logits_NV: Tensor, symbol_ids: tuple[int, ...], target_NS: Tensor) -> Tensor:
    """KL(target ‖ model) with all target mass on `symbol_ids`, mean over positions.

    The model's distribution is over the whole vocabulary, so mass on any other token is punished:
    what is served are probabilities of tokens, not of symbols among themselves.
    """
    log_q_NS = logits_NV.log_softmax(-1)[:, list(symbol_ids)]
    log_p_NS = target_NS.clamp_min(torch.finfo(target_NS.dtype).tiny).log()
    return (target_NS * (log_p_NS - log_q_NS)).sum(-1).mean()


def triage_loss(
    logits: DecisionLogits, batch: Batch, tokens: TaskTokens, *, digit_weight: float
) -> Tensor:
    """KL at the label + `digit_weight` · KL at the digit + cross-entropy on the template."""
    loss = symbol_kl(logits.label_BV, tokens.label_ids, batch.sentiment_BS)
    loss = loss + digit_weight * symbol_kl(logits.digit_BV, tokens.digit_ids, batch.intensity_BS)
    if len(batch.template_id_N):
        loss = loss + functional.cross_entropy(logits.template_NV, batch.template_id_N)
    return loss
