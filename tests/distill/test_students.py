# ruff: noqa: E402 - torch may be absent: skip before importing what needs it
"""Pruned students: what they keep of the teacher."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from distill.examples import Example, TaskTokens, collate
from distill.students import (
    ChangedBelow,
    angular_distances,
    bottom_layers,
    check_frozen,
    freeze_below,
    pruned,
    uniform_layers,
)


def test_uniform_layers_keep_both_ends() -> None:
    assert uniform_layers(30, 10) == (0, 3, 6, 10, 13, 16, 19, 23, 26, 29)


def test_bottom_layers_keep_the_last_ones_too() -> None:
    assert bottom_layers(30, 5, last=2) == (0, 1, 2, 28, 29)


def test_a_students_layers_are_the_teachers(model: Any) -> None:
    student = pruned(model, (0, 2, 3))
    for at, layer in enumerate((0, 2, 3)):
        kept, original = student.model.layers[at], model.model.layers[layer]
        for name, weight in kept.state_dict().items():
            assert torch.equal(weight, original.state_dict()[name])
    assert torch.equal(student.lm_head.weight, model.model.embed_tokens.weight)


def test_a_student_with_every_layer_is_the_teacher(model: Any) -> None:
    ids = torch.arange(14, 24)[None]
    student = pruned(model, range(4))
    assert torch.equal(student.eval()(ids).logits, model.eval()(ids).logits)


def test_training_a_student_leaves_the_teacher_alone(model: Any) -> None:
    student = pruned(model, (0, 3))
    with torch.no_grad():
        student.model.layers[1].mlp.up_proj.weight.zero_()
    assert model.model.layers[3].mlp.up_proj.weight.abs().sum() > 0


def test_only_upper_layers_and_the_final_norm_are_trained(model: Any) -> None:
    freeze_below(model, 3)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith(("model.layers.3.", "model.norm.")) for name in trained)


def test_frozen_layers_are_the_bases_lowest_and_lie_under_the_adapter() -> None:
    check_frozen((0, 1, 5), 2, adapted_from=2)
    with pytest.raises(ChangedBelow, match="layers 0 to 1"):
        check_frozen((0, 2, 5), 2, adapted_from=16)
    with pytest.raises(ChangedBelow, match="adapter from layer 1"):
        check_frozen((0, 1, 5), 2, adapted_from=1)


def test_a_layer_that_does_nothing_turns_nothing(
    model: Any, examples: list[Example], tokens: TaskTokens
) -> None:
    with torch.no_grad():
        model.model.layers[1].self_attn.o_proj.weight.zero_()
        model.model.layers[1].mlp.down_proj.weight.zero_()
    batch = collate(examples, tokens, template=False)
    distances = angular_distances(model, batch, tokens, block=1)
    assert distances.shape == (4,)
    assert float(distances[1]) == pytest.approx(0, abs=1e-3)
    assert float(distances.argmin()) == 1
