"""The training loop; there is one."""

import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vision import augment, optim
from vision.errors import UserError
from vision.examples import NONE, Examples
from vision.params import Recipe
from vision.runtime import Compute
from vision.task import Task

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Row:
    """What an epoch came to: a line of history.csv."""

    phase: str
    epoch: int
    """From 1, running on over the phases."""
    lr: float
    """Of the epoch's last step."""
    train_loss: float
    train_score: float
    """Mean over the epoch's batches, as augmented and before each step."""
    val_loss: float
    val_score: float


class Watcher(Protocol):
    """Whoever wants to know how training goes."""

    def step(self, images: int) -> None:
        """A step on so many images was taken."""

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        """An epoch ended; its steps took so many images and seconds, validation left out."""


def fit(
    module: nn.Module,
    train: Examples,
    val: Examples,
    recipe: Recipe,
    task: Task,
    compute: Compute,
    *,
    phase: str,
    seed: int,
    first_epoch: int,
    watcher: Watcher,
) -> list[Row]:
    """Train `module` in place, and leave it with the weights that were best on validation: an
    epoch's, or those it came with if no epoch was better.

    Each epoch sees the samples in a new order and drops the remainder that fills no batch, so that
    no step is taken on a handful of samples.

    Args:
        first_epoch: how many epochs came before, in earlier phases.

    Raises:
        UserError: the loss is no longer a finite number.
    """
    optimizer = optim.optimizer(module, recipe.optimizer)
    batch_size = min(recipe.batch_size, len(train))
    steps = len(train) // batch_size
    schedule = optim.schedule(optimizer, recipe, steps)
    scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "fp16")

    rows: list[Row] = []
    val_loss, val_score = evaluate(module, val, recipe, task, compute)
    best = task.merit(val_score, val_loss)
    kept, patience = _copy(module), 0
    for epoch in range(first_epoch + 1, first_epoch + recipe.epochs + 1):
        module.train()
        started = time.perf_counter()
        plan = augment.plan(len(train), seed, epoch)
        # dropout draws on the device; seeding each step makes it depend on the step alone
        step_seeds = np.random.SeedSequence((seed, epoch)).generate_state(steps, np.uint64)
        sums = torch.zeros(2, device=compute.device)
        for step in range(steps):
            torch.manual_seed(int(step_seeds[step]))
            index = plan.order[step * batch_size : (step + 1) * batch_size]
            draws = None if recipe.augment == NONE else plan.draws[:, index]
            inputs = train.batch(index, draws, recipe.augment)
            targets = train.targets[index.to(train.targets.device)]
            with compute.autocast():
                outputs = module(inputs)
            outputs = outputs.float()
            loss = task.training_loss(outputs, targets, recipe)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            rate = optim.learning_rate(optimizer)
            schedule.after_step()
            with torch.no_grad():
                sums += torch.stack([loss.detach(), task.score(outputs, targets)])
            watcher.step(len(index))
        train_loss, train_score = (sums / steps).tolist()  # waits for the device
        seconds = time.perf_counter() - started
        if not math.isfinite(train_loss):
            raise UserError(
                f"the loss is {train_loss} in epoch {epoch} ({phase}, learning rate {rate:g}): "
                "lower optimizer.lr, or set runtime.precision: fp32"
            )
        val_loss, val_score = evaluate(module, val, recipe, task, compute)
        row = Row(phase, epoch, rate, train_loss, train_score, val_loss, val_score)
        rows.append(row)
        watcher.epoch(row, steps * batch_size, seconds)
        schedule.after_epoch(val_loss)
        patience += 1
        merit = task.merit(val_score, val_loss)
        if merit > best:
            best, kept, patience = merit, _copy(module), 0
        if patience == recipe.early_stopping:
            break
    module.load_state_dict(kept)
    return rows


def evaluate(
    module: nn.Module, examples: Examples, recipe: Recipe, task: Task, compute: Compute
) -> tuple[float, float]:
    """Mean loss and score."""
    outputs = predict(module, examples, compute)
    loss = task.loss(outputs, examples.targets, recipe)
    return loss.item(), task.score(outputs, examples.targets).item()


def predict(module: nn.Module, examples: Examples, compute: Compute) -> Tensor:
    """Outputs for every example in order, float32 [N, K] on the device, in evaluation mode."""
    module.eval()
    outputs = []
    with torch.no_grad(), compute.autocast():
        for index in torch.arange(len(examples)).split(EVALUATION_BATCH):
            outputs.append(module(examples.batch(index, None, NONE)).float())
    return torch.cat(outputs)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
