"""The engine under a stopwatch, and the bare steps beside it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.inputs import evenly, untrained
from benchmarks.processes import synchronize
from vision import examples, optim, task
from vision.examples import NONE
from vision.fit import Row
from vision.params import Runtime, Scratch, Transfer
from vision.prepared import Prepared
from vision.train import Trained, train

AUTO = Runtime()


@dataclass
class Stopwatch:
    """Adds up what the steps of a training took; validation is left out."""

    images: int = 0
    seconds: float = 0.0

    def resumed(self, rows: Sequence[Row], images: int) -> None:
        """Nothing to do: there are no checkpoints."""

    def step(self, images: int) -> None:
        """Nothing to do."""

    def epoch(self, row: Row, images: int, seconds: float) -> None:
        self.images += images
        self.seconds += seconds

    @property
    def speed(self) -> float:
        """Images a second."""
        return self.images / self.seconds


def run(
    model: Scratch | Transfer, prepared: Prepared, wanted: Runtime = AUTO, seed: int = 0
) -> tuple[Trained, Stopwatch]:
    """Train on all training images."""
    watch = Stopwatch()
    every = prepared.training_subset("all", seed)
    return train(model, prepared, every, seed, wanted, watch), watch


def images_per_second(
    model: Scratch | Transfer, prepared: Prepared, wanted: Runtime, seed: int
) -> float:
    """Speed of the steps, augmentation included and validation left out."""
    return run(model, prepared, wanted, seed)[1].speed


def precision(model: Scratch | Transfer, prepared: Prepared) -> str:
    """What `auto` takes for a model."""
    return run(untrained(model), prepared)[0].compute.precision


def bare_step(model: Scratch, prepared: Prepared, steps: int, update: bool, seed: int) -> float:
    """Seconds of a step on one batch that lies ready, with the engine's precision, layout and
    settings and in as many parts: forward, backward and, with `update`, the optimizer's step."""
    trained, _ = run(untrained(model), prepared, seed=seed)
    network, compute = trained.network, trained.compute
    images = examples.load(prepared, "train", trained.description.input, compute)
    # of all classes: one class is learned within a few steps, and gradients that vanish are slow
    index = torch.from_numpy(evenly(len(images), model.batch_size))
    batch = images.batch(index, None, NONE)
    targets = images.targets[index.to(compute.device)]
    learned = task.of(prepared.manifest)
    optimizer = optim.optimizer(network, model.optimizer, {})
    network.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        parts = zip(batch.chunk(model.accumulate), targets.chunk(model.accumulate), strict=True)
        for part, wanted in parts:
            with compute.autocast():
                outputs = network(part).float()
            loss: torch.Tensor = learned.training_loss(outputs, wanted, model)
            loss.backward()
        if update:
            optimizer.step()

    step()  # sets kernels up
    synchronize(compute.device)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize(compute.device)
    return (time.perf_counter() - started) / steps
