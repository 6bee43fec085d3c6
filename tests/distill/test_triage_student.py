# ruff: noqa: E402 - torch may be absent: skip before importing what needs it
"""Training on harvested rows beside old ones: the same loss, and no step with one that is none."""

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("datasketch")

from distill.examples import Example, TaskTokens, collate
from distill.forward import decision_logits
from distill.gates import Gate, Refused
from distill.losses import triage_loss
from distill.recipe import StudentRecipe
from distill.students import freeze_below
from distill.train import TrainPlan, train
from distill.triage_student import Bench, Lot, mean_loss, mixed_loss, must_be_finite


@pytest.fixture
def bench(model: Any, tokens: TaskTokens) -> Bench:
    return Bench(model, None, tokens, StudentRecipe(first_trained=2))


def test_rows_of_two_lots_have_the_loss_that_they_have_in_one(
    model: Any, bench: Bench, examples: list[Example], tmp_path: Path
) -> None:
    both = bench.lot(examples, tmp_path / "both")
    old, new = bench.lot(examples[:5], tmp_path / "old"), bench.lot(examples[5:], tmp_path / "new")
    chosen = [(old, 1), (new, 0), (new, 3), (old, 4)]
    heard: dict[int, float] = {}
    found = mixed_loss(model, chosen, bench, heard=heard.__setitem__)(0, [0, 1, 2, 3])

    places = [1, 5, 8, 4]
    batch = collate([examples[at] for at in places], bench.tokens, template=True)
    entering = both.states.of(places, batch.ids_BT.shape[1])
    logits = decision_logits(model, entering, 2, batch)
    wanted = triage_loss(logits, batch, bench.tokens, digit_weight=bench.recipe.digit_weight)
    assert found.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert heard == {0: pytest.approx(wanted.item(), abs=1e-5)}


def test_a_loss_that_is_no_number_stops_training_before_it_reaches_the_weights(
    model: Any, bench: Bench, examples: list[Example], tmp_path: Path
) -> None:
    lot = bench.lot(examples, tmp_path / "lot")
    freeze_below(model, 2)
    before = model.model.layers[3].mlp.up_proj.weight.detach().clone()
    steps = mixed_loss(model, [(lot, at) for at in range(12)], bench, heard=lambda *_: None)

    def poisoned(step: int, rows: Any) -> Any:
        if step == 1:
            with torch.no_grad():
                model.model.norm.weight[0] = math.nan
        return steps(step, rows)

    plan = TrainPlan(learning_rate=0.0, warmup_steps=1, checkpoint_every=1, workers=1)
    with pytest.raises(Refused) as refused:
        train(model, [[0, 1], [2, 3]], poisoned, plan, checkpoint=tmp_path / "c", clock=lambda: 0.0)
    assert refused.value.gate is Gate.LOSS_NOT_FINITE
    assert "step 2" in refused.value.why
    assert torch.equal(model.model.layers[3].mlp.up_proj.weight, before)


def test_no_rows_to_look_at_have_no_loss(model: Any, bench: Bench, tmp_path: Path) -> None:
    empty: Lot = bench.lot([], tmp_path / "none")

    assert mean_loss(model, empty, bench) == 0.0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_closes_the_gate(value: float) -> None:
    with pytest.raises(Refused, match="loss_not_finite"):
        must_be_finite(value, "the loss")
