"""One training run, told downward: plan, resume, step, checkpoint, done."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

SAY_EVERY_S = 20.0

LossOf = Callable[[int, Sequence[int]], Tensor]
"""(step, indices of rows) -> their mean loss in nats."""


@dataclass(frozen=True)
class TrainPlan:
    """How long and how hard; the batches themselves are handed in, one a step."""

    learning_rate: float
    warmup_steps: int
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    final_share: float = 0.0
    """Learning rate at the end of the cosine, as a share of `learning_rate`."""
    checkpoint_every: int = 100
    """Steps between checkpoints."""
    workers: int = 2
    """Threads that share a batch; part of the recipe, since sums depend on it."""
    bf16: bool = False
    """Only where the processor multiplies bf16 itself; elsewhere it is 8 times slower."""


def learning_rate(plan: TrainPlan, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to `final_share`."""
    if step < plan.warmup_steps:
        return plan.learning_rate * (step + 1) / plan.warmup_steps
    done = (step - plan.warmup_steps) / max(1, steps - plan.warmup_steps)
    cosine = 0.5 * (1.0 + math.cos(math.pi * done))
    return plan.learning_rate * (plan.final_share + (1.0 - plan.final_share) * cosine)


def train(
    model: nn.Module,
    batches: Sequence[Sequence[int]],
    loss_of: LossOf,
    plan: TrainPlan,
    *,
    checkpoint: Path,
    clock: Callable[[], float],
) -> None:
    """Trains the parameters of `model` that require gradients, in place.

    `batches[step]` are the indices of that step's rows; `loss_of(step, rows)` is their mean loss
    in nats. A batch is cut over `plan.workers` threads of one core each, which meet once a step:
    where other work shares the cores, that is twice as fast as meeting at every matrix product.
    If `checkpoint` exists the run goes on from there, and ends exactly as it would have without
    the break: nothing random happens after `batches` was drawn.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(
        trained.values(), lr=0.0, betas=(0.9, 0.98), weight_decay=plan.weight_decay
    )
    first = _resume(checkpoint, trained, optimizer) if checkpoint.exists() else 0
    model.train()
    started, shown, mean_loss = clock(), clock(), math.nan
    torch.set_num_threads(1)
    with ThreadPoolExecutor(plan.workers, initializer=_flush_denormals) as pool:
        for step in range(first, len(batches)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(plan, step, len(batches))
            value = _gradients(
                list(trained.values()), batches[step], step, loss_of=loss_of, plan=plan, pool=pool
            )
            nn.utils.clip_grad_norm_(trained.values(), plan.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

            mean_loss = value if math.isnan(mean_loss) else 0.97 * mean_loss + 0.03 * value
            if clock() - shown >= SAY_EVERY_S:
                shown = clock()
                _say(step, len(batches), mean_loss, (shown - started) / (step + 1 - first))
            if (step + 1) % plan.checkpoint_every == 0 or step + 1 == len(batches):
                _save(checkpoint, trained, optimizer, step + 1)


def _gradients(
    parameters: list[nn.Parameter],
    batch: Sequence[int],
    step: int,
    *,
    loss_of: LossOf,
    plan: TrainPlan,
    pool: Executor,
) -> float:
    """Sets every parameter's gradient for one batch; returns its loss. Sums in a fixed order."""
    slices = [part for k in range(plan.workers) if (part := batch[k :: plan.workers])]

    def share(rows: Sequence[int]) -> tuple[float, tuple[Tensor, ...]]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=plan.bf16):
            loss = loss_of(step, rows) * (len(rows) / len(batch))
        return loss.item(), torch.autograd.grad(loss, parameters)

    shares = list(pool.map(share, slices))
    for at, parameter in enumerate(parameters):
        parameter.grad = sum((grads[at] for _, grads in shares[1:]), start=shares[0][1][at])
    return sum(value for value, _ in shares)


def _flush_denormals() -> None:
    """Once a thread: denormals in Adam's moments and small gradients cost a third of the speed."""
    torch.set_flush_denormal(True)


def _say(step: int, steps: int, loss: float, seconds_a_step: float) -> None:
    left_min = (steps - step - 1) * seconds_a_step / 60
    log.info(
        "step %d/%d  loss %.4f  %.2f s a step  %.1f min left",
        step + 1, steps, loss, seconds_a_step, left_min,
    )  # fmt: skip


def _save(
    path: Path, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Writes beside and renames, so that a cut leaves the last whole checkpoint."""
    partial = path.with_suffix(".partial")
    weights = {name: p.detach() for name, p in trained.items()}
    torch.save({"step": step, "weights": weights, "optimizer": optimizer.state_dict()}, partial)
    partial.replace(path)


def _resume(path: Path, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(saved["weights"][name])
    optimizer.load_state_dict(saved["optimizer"])
    step: int = saved["step"]
    log.info("goes on from step %d of %s", step, path)
    return step


def freeze(parameters: Iterable[nn.Parameter]) -> None:
    """Takes parameters out of training."""
    for parameter in parameters:
        parameter.requires_grad_(requires_grad=False)
