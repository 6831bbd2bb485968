"""The training loop; there is one."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vision import augment, optim
from vision.errors import UserError
from vision.examples import NONE, Examples, Images
from vision.params import Recipe
from vision.runtime import Compute
from vision.task import Task

EVALUATION_BATCH = 500
EVALUATION_PIXELS = {"cpu": 2**19}
"""By device, the most pixels in a batch of evaluation: what a processor's cache likes (MobileNetV1
at 96x96 on two cores: 944 images/s at 56 a batch, 820 at 455)."""
OTHER_PIXELS = 2**22


@dataclass(frozen=True)
class Length:
    """How long a phase of training is."""

    epochs: int
    steps: int
    """An epoch."""
    batch_size: int

    @classmethod
    def of(cls, recipe: Recipe, samples: int) -> "Length":
        """What a recipe comes to on so many samples, early stopping aside."""
        batch_size = min(recipe.batch_size, samples)
        steps = samples // batch_size
        enough = math.ceil(recipe.min_steps / steps) if recipe.epochs else 0
        return cls(max(recipe.epochs, enough), steps, batch_size)

    @property
    def images(self) -> int:
        return self.epochs * self.steps * self.batch_size


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


class Keeper(Protocol):
    """Whoever keeps the state of unfinished training."""

    resumed: dict[str, Any] | None
    """The state of an interrupted call of `fit`, if there is one."""

    def due(self) -> bool:
        """Whether the state is wanted now."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state; it is not to be changed by later steps."""


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
    keeper: Keeper,
) -> list[Row]:
    """Train `module` in place, and leave it with the weights that were best on validation: an
    epoch's, or those it came with if no epoch was better.

    Each epoch sees the samples in a new order and drops the remainder that fills no batch, so that
    no step is taken on a handful of samples.

    Args:
        first_epoch: how many epochs came before, in earlier phases.
        keeper: saves the state now and then, and has that of an interrupted call, which is then
            continued to the same weights as if it had never been interrupted.

    Raises:
        UserError: the loss is no longer a finite number.
    """
    optimizer = optim.optimizer(module, recipe.optimizer)
    length = Length.of(recipe, len(train))
    epochs, steps, batch_size = length.epochs, length.steps, length.batch_size
    schedule = optim.schedule(optimizer, recipe, epochs, steps)
    scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "fp16")

    state = keeper.resumed or _begin(module, val, recipe, task, compute)
    if keeper.resumed:
        optimizer.load_state_dict(state["optimizer"])
        schedule.scheduler.load_state_dict(state["schedule"])
        scaler.load_state_dict(state["scaler"])
    rows = [Row(**row) for row in state["rows"]]
    best, kept, patience = state["best"], state["kept"], state["patience"]
    sums = state["sums"].to(compute.device)
    done = state["step"]  # steps of the epoch that was interrupted

    def standing(step: int) -> dict[str, Any]:
        return {
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.scheduler.state_dict(),
            "scaler": scaler.state_dict(),
            "rows": [asdict(row) for row in rows],
            "best": best,
            "kept": kept,
            "patience": patience,
            "sums": sums,
            "step": step,
        }

    for epoch in range(first_epoch + len(rows) + 1, first_epoch + epochs + 1):
        if patience == recipe.early_stopping:
            break
        module.train()
        started = time.perf_counter()
        plan = augment.plan(len(train), seed, epoch)
        # dropout draws on the device; seeding each step makes it depend on the step alone
        step_seeds = np.random.SeedSequence((seed, epoch)).generate_state(steps, np.uint64)
        for step in range(done, steps):
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
            if step + 1 < steps and keeper.due():
                keeper.save(standing(step + 1))
        train_loss, train_score = (sums / steps).tolist()  # waits for the device
        seconds = time.perf_counter() - started
        val_loss, val_score = evaluate(module, val, recipe, task, compute)
        if not math.isfinite(train_loss + val_loss):
            raise UserError(
                f"the loss is no longer a number in epoch {epoch} ({phase}): {train_loss:g} on "
                f"training images, {val_loss:g} on validation, at learning rate {rate:g}; lower "
                "optimizer.lr, or set runtime.precision: fp32"
            )
        row = Row(phase, epoch, rate, train_loss, train_score, val_loss, val_score)
        rows.append(row)
        watcher.epoch(row, (steps - done) * batch_size, seconds)
        schedule.after_epoch(val_loss)
        patience += 1
        merit = task.merit(val_score, val_loss)
        if merit > best:
            best, kept, patience = merit, _copy(module), 0
        sums, done = torch.zeros_like(sums), 0
        if keeper.due():
            keeper.save(standing(step=0))
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
    batch_size = EVALUATION_BATCH
    if isinstance(examples, Images):
        pixels = examples.expects.height * examples.expects.width
        most = EVALUATION_PIXELS.get(compute.device.type, OTHER_PIXELS)
        batch_size = max(1, min(batch_size, most // pixels))
    with torch.no_grad(), compute.autocast():
        for index in torch.arange(len(examples)).split(batch_size):
            outputs.append(module(examples.batch(index, None, NONE)).float())
    return torch.cat(outputs)


def _begin(
    module: nn.Module, val: Examples, recipe: Recipe, task: Task, compute: Compute
) -> dict[str, Any]:
    """The state before the first step."""
    loss, score = evaluate(module, val, recipe, task, compute)
    return {
        "rows": [],
        "best": task.merit(score, loss),
        "kept": _copy(module),
        "patience": 0,
        "sums": torch.zeros(2),
        "step": 0,
    }


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
