# ruff: noqa: N803, N806, N815 - tensors carry their axes in their names
"""Some layers of a Llama, run on rows that share a prefix: what training repeats, and no more.

transformers runs a model whole. Here any run of layers is a function of the states that enter it,
so that frozen layers can be run once for all epochs, and the topmost only where a row decides.
Axes: B row, T token of a row, P token of the prefix, Q token that asks, K key it may look at (first
the prefix's, then the row's), N head of keys, G heads of queries that share one, H head width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class States:
    """Hidden states of a batch at one height: of the prefix and of the rows (padded right)."""

    prefix_1PD: Tensor
    rows_BTD: Tensor


@dataclass(frozen=True)
class _Rotary:
    cos_KH: Tensor
    sin_KH: Tensor

    def turned(self, heads_BNTH: Tensor, at_BT: Tensor) -> Tensor:
        """Rotary position embedding in transformers' convention: halves of a head."""
        cos, sin = self.cos_KH[at_BT][:, None], self.sin_KH[at_BT][:, None]
        first, second = heads_BNTH.chunk(2, dim=-1)
        return heads_BNTH * cos + torch.cat([-second, first], dim=-1) * sin


def embedded(model: Any, prefix_ids: Sequence[int], ids_BT: Tensor) -> States:  # noqa: ANN401
    """What enters the lowest layer."""
    look_up = model.model.embed_tokens
    return States(look_up(torch.tensor([prefix_ids])), look_up(ids_BT))


def run_layers(model: Any, states: States, first: int, end: int) -> States:  # noqa: ANN401
    """Layers first .. end - 1 of a transformers Llama (with adapters or not)."""
    turn = _rotary(model, states)
    for layer in model.model.layers[first:end]:
        states = _layer(layer, states, turn)
    return states


def run_to_top(model: Any, states: States, first: int, asked_at_BQ: Tensor) -> Tensor:  # noqa: ANN401
    """Layers from `first` up and the final norm, at some positions of each row: shape (B, Q, D).

    In the topmost layer only these positions ask; the others are looked at.
    """
    last = len(model.model.layers) - 1
    below = run_layers(model, states, first, last)
    layer, turn = model.model.layers[last], _rotary(model, states)
    looked_at = _looked_at(layer, below, turn)
    rows = torch.arange(len(asked_at_BQ))[:, None]
    asking = below.rows_BTD[rows, asked_at_BQ]
    top = _answered(layer, asking, asked_at_BQ + below.prefix_1PD.shape[1], looked_at, turn)
    return model.model.norm(top)  # type: ignore[no-any-return] # transformers is untyped here


def _rotary(model: Any, states: States) -> _Rotary:  # noqa: ANN401
    length = states.prefix_1PD.shape[1] + states.rows_BTD.shape[1]
    cos, sin = model.model.rotary_emb(states.rows_BTD, torch.arange(length)[None])
    return _Rotary(cos[0], sin[0])


def _layer(layer: Any, states: States, turn: _Rotary) -> States:  # noqa: ANN401
    head = states.prefix_1PD.shape[1]
    keys, values = _looked_at(layer, states, turn)
    own = torch.arange(head)[None]
    of_prefix = keys[:1, :, :head], values[:1, :, :head]
    prefix = _answered(layer, states.prefix_1PD, own, of_prefix, turn)
    rows, width, _ = states.rows_BTD.shape
    at_BT = torch.arange(head, head + width).expand(rows, -1)
    return States(prefix, _answered(layer, states.rows_BTD, at_BT, (keys, values), turn))


def _looked_at(layer: Any, states: States, turn: _Rotary) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    """Keys and values (B, N, K, H) of the prefix and every row."""
    rows, head = len(states.rows_BTD), states.prefix_1PD.shape[1]
    found = []
    for project, turns in ((layer.self_attn.k_proj, True), (layer.self_attn.v_proj, False)):
        parts = []
        for some, start in ((states.prefix_1PD, 0), (states.rows_BTD, head)):
            part = _heads(project(layer.input_layernorm(some)), layer.self_attn.head_dim)
            at = torch.arange(start, start + some.shape[1])[None]
            parts.append(turn.turned(part, at) if turns else part)
        found.append(torch.cat([parts[0].expand(rows, -1, -1, -1), parts[1]], dim=2))
    return found[0], found[1]


def _answered(
    layer: Any,  # noqa: ANN401
    asking_BQD: Tensor,
    at_BQ: Tensor,
    looked_at: tuple[Tensor, Tensor],
    turn: _Rotary,
) -> Tensor:
    """The layer's output where it is asked. Causal: a token looks at itself and what is before."""
    keys_BNKH, values_BNKH = looked_at
    attention = layer.self_attn
    width = attention.head_dim
    query = turn.turned(_heads(attention.q_proj(layer.input_layernorm(asking_BQD)), width), at_BQ)
    rows, heads, count, _ = query.shape
    shared, length = keys_BNKH.shape[1:3]
    query = query.reshape(rows, shared, heads // shared * count, width) * attention.scaling
    weight = (query @ keys_BNKH.transpose(2, 3)).view(rows, shared, -1, count, length)
    hidden_BQK = torch.arange(length) > at_BQ[..., None]
    weight = weight.masked_fill(hidden_BQK[:, None, None], float("-inf")).softmax(dim=-1)
    seen = weight.view(rows, shared, -1, length) @ values_BNKH
    seen = seen.view(rows, heads, count, width).transpose(1, 2).reshape(rows, count, -1)
    mixed = asking_BQD + attention.o_proj(seen)
    out: Tensor = mixed + layer.mlp(layer.post_attention_layernorm(mixed))
    return out


def _heads(projected_BTD: Tensor, width: int) -> Tensor:
    rows, count, _ = projected_BTD.shape
    return projected_BTD.view(rows, count, -1, width).transpose(1, 2)
