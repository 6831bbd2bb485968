"""Parameter groups, optimizers and schedules."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from vision import params


def optimizer(module: nn.Module, choice: params.SGD | params.Adam) -> Optimizer:
    """An optimizer for the parameters that are trained. Weight decay is for weights alone, not for
    biases and the scales and shifts of normalisation (parameters of one dimension)."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": choice.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if isinstance(choice, params.SGD):
        nesterov = choice.nesterov and choice.momentum > 0
        return SGD(groups, lr=choice.lr, momentum=choice.momentum, nesterov=nesterov)
    return {"adam": Adam, "adamw": AdamW}[choice.name](groups, lr=choice.lr)


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
    # torch's one-cycle wants at least one step even where nothing is trained
    steps = max(1, epochs * steps_per_epoch)
    match choice:
        case params.Constant():
            return Schedule(ConstantLR(optimizer, factor=1.0), by_step=False)
        case params.Step():
            return Schedule(StepLR(optimizer, choice.step_size, choice.gamma), by_step=False)
        case params.Cosine():
            return Schedule(CosineAnnealingLR(optimizer, steps), by_step=True)
        case params.OneCycle():
            total = steps + 1  # the last step is taken and then followed by one more call
            cycle = OneCycleLR(
                optimizer,
                max_lr=recipe.optimizer.lr,
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
