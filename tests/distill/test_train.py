# ruff: noqa: E402 - torch may be absent: skip before importing what needs it
"""The training loop learns, resumes as if nothing had happened, and leaves frozen things be."""

import copy
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from distill.examples import Example, TaskTokens, bucketed, collate
from distill.forward import decision_logits
from distill.layers import embedded
from distill.losses import triage_loss
from distill.students import freeze_below
from distill.train import TrainPlan, learning_rate, train

PLAN = TrainPlan(learning_rate=3e-3, warmup_steps=2, checkpoint_every=5)


def loss_on(model: Any, examples: list[Example], tokens: TaskTokens) -> Callable[..., Any]:
    def loss_of(step: int, rows: Sequence[int]) -> Any:
        batch = collate([examples[i] for i in rows], tokens, template=step % 2 == 0)
        entering = embedded(model, tokens.prefix_ids, batch.ids_BT)
        logits = decision_logits(model, entering, 0, batch)
        return triage_loss(logits, batch, tokens, digit_weight=1.0)

    return loss_of


def clock() -> Callable[[], float]:
    ticks = count()
    return lambda: float(next(ticks))


def batches(examples: list[Example], epochs: int) -> list[list[int]]:
    return bucketed([len(e) for e in examples], rows=4, epochs=epochs, seed=0)


def test_training_lowers_the_loss(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    loss_of = loss_on(model, examples, tokens)
    before = loss_of(0, range(12)).item()
    train(model, batches(examples, 40), loss_of, PLAN, checkpoint=tmp_path / "c", clock=clock())
    assert loss_of(0, range(12)).item() < before / 2


def test_a_cut_run_ends_bit_for_bit_like_an_unbroken_one(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    whole, cut = model, copy.deepcopy(model)
    plan = batches(examples, 5)
    train(
        whole,
        plan,
        loss_on(whole, examples, tokens),
        PLAN,
        checkpoint=tmp_path / "a",
        clock=clock(),
    )

    class PowerCut(Exception):
        pass

    usual = loss_on(cut, examples, tokens)

    def failing(step: int, rows: Sequence[int]) -> Any:
        if step == 12:
            raise PowerCut
        return usual(step, rows)

    with pytest.raises(PowerCut):
        train(cut, plan, failing, PLAN, checkpoint=tmp_path / "b", clock=clock())
    fresh = type(model)(model.config)
    fresh.load_state_dict(cut.state_dict())
    resumed = loss_on(fresh, examples, tokens)
    train(fresh, plan, resumed, PLAN, checkpoint=tmp_path / "b", clock=clock())
    for one, other in zip(whole.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


def test_frozen_layers_stay_the_bases_to_the_bit(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    before = copy.deepcopy(model)
    freeze_below(model, 2)
    train(
        model,
        batches(examples, 2),
        loss_on(model, examples, tokens),
        PLAN,
        checkpoint=tmp_path / "c",
        clock=clock(),
    )
    assert torch.equal(model.model.embed_tokens.weight, before.model.embed_tokens.weight)
    for at, same in enumerate([True, True, False, False]):
        one, other = model.model.layers[at], before.model.layers[at]
        assert torch.equal(one.mlp.up_proj.weight, other.mlp.up_proj.weight) is same


def test_the_loss_of_a_batch_does_not_depend_on_how_many_share_it(
    model: Any, examples: list[Example], tokens: TaskTokens, tmp_path: Path
) -> None:
    alone = copy.deepcopy(model)
    for who, workers in ((model, 2), (alone, 1)):
        train(
            who,
            batches(examples, 1),
            loss_on(who, examples, tokens),
            TrainPlan(learning_rate=1e-3, warmup_steps=1, workers=workers),
            checkpoint=tmp_path / str(workers),
            clock=clock(),
        )
    for one, other in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_the_rate_warms_up_peaks_and_ends_near_zero() -> None:
    rates = [learning_rate(PLAN, step, 50) for step in range(50)]
    assert rates[0] < rates[1] == max(rates)
    assert rates == [rates[0], *sorted(rates[1:], reverse=True)]
    assert rates[-1] < 0.01 * PLAN.learning_rate
