"""Parameter groups, optimizers and schedules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from vision import params
from vision.runtime import multiplies_bf16


def optimizer(
    module: nn.Module, choice: params.Optimizer, rates: Mapping[nn.Parameter, float]
) -> Optimizer:
    """An optimizer for the parameters that are trained. Weight decay is for weights alone, not for
    biases and the scales and shifts of normalisation (parameters of one dimension).

    Args:
        rates: factors on the learning rate, for the parameters whose factor is not 1.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    if isinstance(choice, params.Muon):
        return _muon(module, trained, choice)
    groups = []
    for rate in sorted({rates.get(p, 1.0) for p in trained}, reverse=True):
        alike = [p for p in trained if rates.get(p, 1.0) == rate]
        weights, others = [p for p in alike if p.ndim >= 2], [p for p in alike if p.ndim < 2]
        for members, decay in ((weights, choice.weight_decay), (others, 0.0)):
            if members:
                groups.append({"params": members, "lr": choice.lr * rate, "weight_decay": decay})
    if isinstance(choice, params.SGD):
        nesterov = choice.nesterov and choice.momentum > 0
        return SGD(groups, lr=choice.lr, momentum=choice.momentum, nesterov=nesterov)
    return {"adam": Adam, "adamw": AdamW}[choice.name](groups, lr=choice.lr)


def _muon(module: nn.Module, trained: list[nn.Parameter], choice: params.Muon) -> Optimizer:
    others = choice.others
    head = set(getattr(module, "head", module).parameters())
    kinds = [
        ([p for p in trained if p not in head and p.ndim >= 2], choice.lr, choice.momentum),
        ([p for p in trained if p in head], others.lr, others.momentum),
        ([p for p in trained if p not in head and p.ndim < 2], others.bias_lr, others.momentum),
    ]
    groups = [
        {
            "params": members,
            "lr": lr,
            "momentum": momentum,
            "orthogonal": i == 0,
            "weight_decay": 0.0 if i == 0 else others.weight_decay / lr,
        }
        for i, (members, lr, momentum) in enumerate(kinds)
        if members
    ]
    return Muon(groups, lr=choice.lr, momentum=choice.momentum, nesterov=True)


class Muon(SGD):
    """SGD with Nesterov momentum; in groups marked `orthogonal`, each step is the nearest
    orthogonal matrix to it, by three steps of Newton and Schulz's iteration, and each weight is
    scaled to the norm of an orthogonal matrix first (arXiv 2404.00498; K. Jordan, "Muon", 2024).

    torch's own Muon takes matrices alone and timm's has no such scaling; both iterate in bf16,
    which processors without such instructions emulate (0.25 against 139 GFLOP/s in fp32, matrices
    of 2048x2048 on two AVX2 cores).
    """

    COEFFICIENTS: ClassVar = [(3.4445, -4.7750, 2.0315)]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        from timm.optim.muon import zeropower_via_newtonschulz  # takes seconds to import

        for group in self.param_groups:
            if not group["orthogonal"]:
                continue
            for p in group["params"]:
                if p.grad is None:
                    continue
                matrix = p.grad.flatten(1)
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(matrix))
                velocity.mul_(group["momentum"]).add_(matrix)
                matrix = matrix.add(velocity, alpha=group["momentum"])
                dtype = torch.bfloat16 if multiplies_bf16(p.device) else torch.float32
                update = zeropower_via_newtonschulz(matrix, 3, self.COEFFICIENTS, dtype=dtype)
                p.mul_(len(p) ** 0.5 / p.norm().clamp(min=1e-7))
                p.add_(update.view(p.shape), alpha=-group["lr"])
                p.grad = None  # SGD takes the others
        return super().step(closure)


def average(module: nn.Module, decay: float | None) -> Any:
    """timm's exponential moving average of a module's weights and statistics, whose decay rises to
    `decay` over the first steps; nothing where there is no decay."""
    if decay is None:
        return None
    from timm.utils import ModelEmaV3  # takes seconds, and only some recipes need it

    return ModelEmaV3(module, decay=decay, use_warmup=True)


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule that is told of every step and every epoch."""

    scheduler: LRScheduler
    by_step: bool

    def after_step(self) -> None:
        if self.by_step:
            self.scheduler.step()

    def after_epoch(self, val_loss: float) -> None:
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(val_loss)
        elif not self.by_step:
            self.scheduler.step()


def schedule(
    optimizer: Optimizer, recipe: params.Recipe, epochs: int, steps_per_epoch: int
) -> Schedule:
    """The recipe's schedule over so many epochs."""
    choice = recipe.schedule
    steps = epochs * steps_per_epoch
    match choice:
        case params.Constant():
            return Schedule(ConstantLR(optimizer, factor=1.0), by_step=False)
        case params.Step():
            return Schedule(StepLR(optimizer, choice.step_size, choice.gamma), by_step=False)
        case params.Linear():
            return Schedule(LinearLR(optimizer, 1.0, 0.0, steps), by_step=True)
        case params.Cosine():
            return Schedule(CosineAnnealingLR(optimizer, steps), by_step=True)
        case params.OneCycle():
            total = steps + 1  # the last step is taken and then followed by one more call
            cycle = OneCycleLR(
                optimizer,
                max_lr=[group["lr"] for group in optimizer.param_groups],
                total_steps=total,
                pct_start=max(choice.warmup, 2 / total),  # torch divides by the steps of the rise
                anneal_strategy="linear",
                cycle_momentum=False,
            )
            return Schedule(cycle, by_step=True)
        case params.Plateau():
            plateau = ReduceLROnPlateau(
                optimizer, factor=choice.factor, patience=choice.patience, min_lr=choice.min_lr
            )
            return Schedule(plateau, by_step=False)


def learning_rate(optimizer: Optimizer) -> float:
    """The rate of the first group."""
    rate = optimizer.param_groups[0]["lr"]
    return float(rate.item() if isinstance(rate, torch.Tensor) else rate)
