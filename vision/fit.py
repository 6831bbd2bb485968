"""The training loop; there is one."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vision import augment, optim
from vision.errors import UserError
from vision.examples import Batch, Examples, batches
from vision.params import Recipe
from vision.predict import predict
from vision.runtime import Compute
from vision.task import Task

LOOK = 64
"""Steps between looks at the losses, each of which waits for the device."""


@dataclass(frozen=True)
class Length:
    """How long a phase of training is."""

    epochs: int
    passes: int
    """Of an epoch over the samples; the last may be cut short."""
    steps: int
    """Of an epoch."""
    batch_size: int

    @classmethod
    def of(cls, recipe: Recipe, samples: int) -> "Length":
        """What a recipe comes to on so many samples, early stopping aside."""
        batch_size = min(recipe.batch_size, samples)
        enough = math.ceil(recipe.min_steps / recipe.epochs) if recipe.epochs else 0
        steps = max(samples // batch_size, enough)
        return cls(recipe.epochs, math.ceil(steps * batch_size / samples), steps, batch_size)

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

    def resumed(self, rows: Sequence[Row], images: int) -> None:
        """A run that was interrupted after these epochs, and so many images of the next, goes
        on."""

    def step(self, images: int) -> None:
        """A step on so many images was taken."""

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        """An epoch ended; its steps took so many images and seconds, validation left out."""


class Keeper(Protocol):
    """Whoever keeps the state of unfinished training."""

    resumed: dict[str, Any] | None
    """The state of an interrupted call of `fit`, if there is one."""
    followed: bool
    """Whether another phase follows, before whose first step nothing is saved."""

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
    stem: Sequence[nn.Parameter],
    rates: Mapping[nn.Parameter, float],
    watcher: Watcher,
    keeper: Keeper,
) -> list[Row]:
    """Train `module` in place, and leave it with the weights that were best on validation: an
    epoch's, or those it came with if no epoch was better.

    Each pass over the samples sees them in a new order. An epoch drops the remainder that fills no
    batch, so that no step is taken on a handful of samples.

    Args:
        first_epoch: how many epochs came before, in earlier phases.
        stem: what the first layer trains, which is frozen after `recipe.stem_epochs`.
        rates: factors on the learning rate, for the parameters whose factor is not 1.
        keeper: saves the state now and then, and has that of an interrupted call, which is then
            continued to the same weights as if it had never been interrupted.

    Raises:
        UserError: the loss is no longer a finite number.
    """
    length = Length.of(recipe, len(train))
    epochs, steps, batch_size = length.epochs, length.steps, length.batch_size
    if epochs == 0:
        return []
    if recipe.balance == "weights":
        task = task.balanced(train.targets)
    classes = train.targets if recipe.balance == "sampling" else None
    optimizer = optim.optimizer(module, recipe.optimizer, rates)
    schedule = optim.schedule(optimizer, recipe, epochs, steps)
    scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "fp16")
    average = optim.average(module, recipe.ema)
    judged = average.module if average else module

    state = keeper.resumed or _begin(module, val, recipe, task, compute)
    if keeper.resumed:
        optimizer.load_state_dict(state["optimizer"])
        schedule.scheduler.load_state_dict(state["schedule"])
        scaler.load_state_dict(state["scaler"])
        if average:
            average.load_state_dict(state["average"])
    rows = [Row(**row) for row in state["rows"]]
    best, kept, patience = state["best"], state["kept"], state["patience"]
    sums = state["sums"].to(compute.device)
    done = state["step"]  # steps of the epoch that was interrupted

    def standing(step: int) -> dict[str, Any]:
        return {
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.scheduler.state_dict(),
            "scaler": scaler.state_dict(),
            "average": average.state_dict() if average else None,
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
        if recipe.stem_epochs and epoch > first_epoch + recipe.stem_epochs:
            for parameter in stem:
                parameter.requires_grad_(False)
        module.train()
        started = time.perf_counter()
        plan = augment.plan(len(train), seed, epoch, recipe.augment, length.passes, classes)
        plan = plan.to(train.place)
        indices = [plan.order[i * batch_size : (i + 1) * batch_size] for i in range(done, steps)]
        # dropout draws on the device; seeding each step makes it depend on the step alone
        step_seeds = np.random.SeedSequence((seed, epoch)).generate_state(steps, np.uint64)
        losses = Losses(epoch, steps, phase)
        for step, inputs in enumerate(batches(train, indices, plan, recipe.augment), start=done):
            torch.manual_seed(int(step_seeds[step]))
            index = indices[step - done]
            rate = optim.learning_rate(optimizer)
            optimizer.zero_grad(set_to_none=True)
            targets = train.targets[plan.samples[index].to(compute.device, non_blocking=True)]
            draws = plan.draws[:, index]
            loss, outputs = _gradient(module, inputs, targets, draws, recipe, task, compute, scaler)
            if recipe.clip:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
            scaler.step(optimizer)
            scaler.update()
            schedule.after_step()
            if average:
                average.update(module, (epoch - first_epoch - 1) * steps + step + 1)
            with torch.no_grad():
                sums += torch.stack([loss, task.score(outputs, targets)])
            losses.add(step, loss, rate)
            watcher.step(len(index))
            if step + 1 < steps and keeper.due():
                losses.look()
                keeper.save(standing(step + 1))
        losses.look()
        train_loss, train_score = (sums / steps).tolist()
        seconds = time.perf_counter() - started
        val_loss, val_score = evaluate(judged, val, recipe, task, compute)
        if not math.isfinite(val_loss):
            raise UserError(
                f"the validation loss is {val_loss:g} after epoch {epoch} ({phase}); lower "
                "optimizer.lr, set clip: 1.0, or set runtime.precision: fp32"
            )
        row = Row(phase, epoch, rate, train_loss, train_score, val_loss, val_score)
        rows.append(row)
        watcher.epoch(row, (steps - done) * batch_size, seconds)
        schedule.after_epoch(val_loss)
        patience += 1
        merit = task.merit(val_score, val_loss)
        if merit > best:
            best, kept, patience = merit, _copy(judged), 0
        sums, done = torch.zeros_like(sums), 0
        over = len(rows) == epochs or patience == recipe.early_stopping
        if keeper.due() or (over and keeper.followed):
            keeper.save(standing(step=0))
    module.load_state_dict(kept)
    return rows


@dataclass
class Losses:
    """Watches the losses of an epoch's steps, and looks at them seldom enough not to slow a device
    down."""

    epoch: int
    steps: int
    phase: str
    unseen: list[tuple[int, Tensor, float]] = field(default_factory=list)

    def add(self, step: int, loss: Tensor, rate: float) -> None:
        self.unseen.append((step, loss, rate))
        if len(self.unseen) == LOOK or loss.device.type == "cpu":
            self.look()

    def look(self) -> None:
        """Raise a UserError at the first loss that is not finite."""
        seen, self.unseen = self.unseen, []
        values = torch.stack([loss for _, loss, _ in seen]).tolist() if seen else []
        for (step, _, rate), value in zip(seen, values, strict=True):
            if not math.isfinite(value):
                raise UserError(
                    f"the loss is {value:g} at step {step + 1} of {self.steps} in epoch "
                    f"{self.epoch} ({self.phase}), at learning rate {rate:g}: lower optimizer.lr, "
                    "set clip: 1.0, or set runtime.precision: fp32"
                )


def _gradient(
    module: nn.Module,
    inputs: Batch,
    targets: Tensor,
    draws: Tensor,
    recipe: Recipe,
    task: Task,
    compute: Compute,
    scaler: torch.amp.GradScaler,
) -> tuple[Tensor, Tensor]:
    """Leave the gradient of a batch in the parameters; its loss (a scalar) and outputs [B, K]."""
    if recipe.augment.mixup or recipe.augment.cutmix:
        assert isinstance(inputs, Tensor)
        draws = draws.to(compute.device, non_blocking=True)
        inputs, share = augment.mix(inputs, draws, recipe.augment)
        targets = task.mixed(targets, share)
    # a part of one image has no variance for BatchNorm
    count = max(1, min(recipe.accumulate, len(targets) // 2))
    parts = zip(_parts(inputs, count), targets.tensor_split(count), strict=True)
    total, outputs = torch.zeros((), device=compute.device), []
    for part, wanted in parts:
        with compute.autocast():
            found = module(part).float()
        loss = task.training_loss(found, wanted, recipe) * (len(wanted) / len(targets))
        scaler.scale(loss).backward()
        total += loss.detach()
        outputs.append(found.detach())
    return total, torch.cat(outputs)


def _parts(inputs: Batch, count: int) -> Sequence[Batch]:
    if isinstance(inputs, Tensor):
        return inputs.tensor_split(count)
    return list(zip(*(tensor.tensor_split(count) for tensor in inputs), strict=True))


def evaluate(
    module: nn.Module, examples: Examples, recipe: Recipe, task: Task, compute: Compute
) -> tuple[float, float]:
    """Mean loss and score."""
    outputs = predict(module, examples, compute)
    loss = task.loss(outputs, examples.targets, recipe)
    return loss.item(), task.score(outputs, examples.targets).item()


def _begin(
    module: nn.Module, val: Examples, recipe: Recipe, task: Task, compute: Compute
) -> dict[str, Any]:
    """The state before the first step."""
    loss, score = evaluate(module, val, recipe, task, compute)
    # an untrained network may overflow where it will not once its statistics are trained
    finite = math.isfinite(loss) and math.isfinite(score)
    return {
        "rows": [],
        "best": task.merit(score, loss) if finite else (-math.inf, -math.inf),
        "kept": _copy(module),
        "patience": 0,
        "sums": torch.zeros(2),
        "step": 0,
    }


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
