# ruff: noqa: N806 - tensors carry their axes in their names
"""Depth-pruned students: which layers of the teacher stay, and the smaller model made of them."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distill.examples import Batch, TaskTokens
from distill.train import freeze


def uniform_layers(total: int, kept: int) -> tuple[int, ...]:
    """`kept` of `total` layers at even distances, first and last among them."""
    return tuple(round(at * (total - 1) / (kept - 1)) for at in range(kept))


def bottom_layers(total: int, kept: int, *, last: int) -> tuple[int, ...]:
    """The lowest `kept - last` layers and the `last` topmost ones."""
    return (*range(kept - last), *range(total - last, total))


class ChangedBelow(ValueError):
    """Layers that are to stay the base's are not the base's."""


def check_frozen(layers: Sequence[int], first_trained: int, adapted_from: int) -> None:
    """Raises `ChangedBelow` unless the frozen layers are the base's lowest, without an adapter."""
    frozen = tuple(layers[:first_trained])
    if frozen != tuple(range(first_trained)) or adapted_from < first_trained:
        raise ChangedBelow(
            f"frozen layers {frozen} with an adapter from layer {adapted_from} up: "
            f"they must be layers 0 to {first_trained - 1} and lie under the adapter"
        )


def pruned(model: Any, layers: Sequence[int]) -> Any:  # noqa: ANN401
    """A copy of a transformers Llama with only these layers, in this order, as float32."""
    settings = copy.deepcopy(model.config)
    settings.num_hidden_layers = len(layers)
    if getattr(settings, "layer_types", None):
        settings.layer_types = [settings.layer_types[at] for at in layers]
    student = type(model)(settings)
    student.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
    student.model.norm.load_state_dict(model.model.norm.state_dict())
    for at, layer in enumerate(layers):
        student.model.layers[at].load_state_dict(model.model.layers[layer].state_dict())
    return student.float()


def freeze_below(student: Any, first_trained: int) -> None:  # noqa: ANN401
    """Trains only layers from `first_trained` up and the final norm.

    The tied embedding stays the base's (it is never shipped again); frozen layers must have been
    the base's too, so that they need no delta, and they need no gradients.
    """
    freeze(student.model.embed_tokens.parameters())
    freeze(student.lm_head.parameters())
    for layer in student.model.layers[:first_trained]:
        freeze(layer.parameters())


@torch.no_grad()
def angular_distances(model: Any, batch: Batch, tokens: TaskTokens, *, block: int) -> Tensor:  # noqa: ANN401
    """How much `block` consecutive layers turn the hidden state at the label, for each first layer.

    Shape (layers - block + 1,), in units of pi; small means the block could go (Gromov et al.,
    arXiv:2403.17887).
    """
    rows = torch.arange(batch.ids_BT.shape[0])
    prefix_BP = torch.tensor([tokens.prefix_ids]).expand(len(rows), -1)
    ids_BT = torch.cat([prefix_BP, batch.ids_BT], dim=1)
    states = model.model(ids_BT, output_hidden_states=True).hidden_states
    at_B = batch.label_at_B + prefix_BP.shape[1]
    state_LBD = torch.stack([state[rows, at_B] for state in states])
    cosine = torch.cosine_similarity(state_LBD[:-block], state_LBD[block:], dim=-1)
    return torch.arccos(cosine.clamp(-1, 1)).mean(dim=1) / torch.pi
