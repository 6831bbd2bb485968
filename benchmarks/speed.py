"""speednet: what its training costs beside its bare steps, and its seconds on CUDA."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import mean

import torch

from benchmarks import engine
from benchmarks.inputs import Inputs, MissingError, changed, recipes, scratch
from benchmarks.processes import alone, in_turn, synchronize
from benchmarks.table import Bar, Row
from vision import augment, examples, fit, task
from vision.fit import Length
from vision.params import Scratch
from vision.predict import predict
from vision.prepared import Prepared

STUDY = "cifar10_speed"
TARGETS = {0.94: 8, 0.96: 40}
"""Epochs, fixed beforehand, by the test accuracy that they are meant to reach on CIFAR-10: 8 is the
recipe's own figure, 40 a guess that no run has tried yet."""


def speednet(inputs: Inputs, steps: int = 2, epochs: int = 3, pairs: int = 3) -> list[Row]:
    """The whole training of speednet against its bare steps."""
    model = changed(scratch("speednet", STUDY), epochs=epochs)
    train = steps * model.batch_size
    val = round(train * recipes(STUDY).data.validation)
    part = inputs.part(train, val)
    total = epochs * steps
    seconds = in_turn(
        partial(whole_seconds, model, part),
        partial(engine.bare_step, model, part, steps, False),
        pairs,
    )
    shown = ", ".join(f"{whole:.1f} and {total * bare:.1f}" for whole, bare in seconds)
    return [
        Row(
            "speednet, the whole training",
            "its steps x bare forward and backward of the same net and batch",
            [whole / (total * bare) for whole, bare in seconds],
            bar=Bar("≤", 1.15),
            note=f"{epochs} epochs of {steps} steps of {model.batch_size:,} in {model.accumulate} "
            f"parts, {val} validation images after each; seconds: {shown}.",
        )
    ]


def whole_seconds(model: Scratch, prepared: Prepared, seed: int) -> float:
    """Wall time of a training: building, augmentation, steps and validation."""
    return engine.run(model, prepared, seed=seed)[0].seconds


@dataclass(frozen=True)
class Run:
    """What a training came to, and where its seconds went."""

    accuracy: float
    """On test, by the study's views."""
    seconds: float
    data: float
    """Augmentation and making of its batches, measured by making them all once more."""
    steps: float
    """All else of its steps."""
    evaluation: float
    """One an epoch and one before, measured by evaluating once more."""


def cuda(inputs: Inputs, runs: int = 5) -> list[Row]:
    """Seconds of speednet's training to 94 % and to 96 % on a CUDA device.

    Raises:
        MissingError: there is no such device.
    """
    if not torch.cuda.is_available():
        raise MissingError("there is no CUDA device")
    whole = inputs.whole(recipes(STUDY).data.validation)
    return [_timed(inputs.name, whole, target, epochs, runs) for target, epochs in TARGETS.items()]


def _timed(data: str, whole: Prepared, target: float, epochs: int, runs: int) -> Row:
    # a GPU has room for a batch in one part
    model = changed(scratch("speednet", STUDY), epochs=epochs, accumulate=1)
    found = alone(partial(timed_runs, model, whole, runs))
    accuracy = mean(run.accuracy for run in found)
    parts = ", ".join(
        f"{part} {mean(getattr(run, part) for run in found):.2f} s"
        for part in ("data", "steps", "evaluation")
    )
    return Row(
        f"speednet to {target:.0%} on {data}",
        values=[run.seconds for run in found],
        unit="s",
        holds=accuracy >= target,
        note=f"{epochs} epochs on all training images, {runs} seeds; mean test accuracy "
        f"{accuracy:.2%}; {parts}, the rest building and loading.",
    )


def timed_runs(model: Scratch, whole: Prepared, runs: int) -> list[Run]:
    """A training a seed, after a short one that sets kernels up."""
    engine.run(changed(model, epochs=1), whole)
    return [_timed_run(model, whole, seed) for seed in range(runs)]


def _timed_run(model: Scratch, whole: Prepared, seed: int) -> Run:
    trained, watch = engine.run(model, whole, seed=seed)
    expects, compute = trained.description.input, trained.compute
    train = examples.load(whole, "train", expects, compute)
    test = examples.load(whole, "test", expects, compute)
    length = Length.of(model, len(train))

    def make_batches() -> None:
        for epoch in range(1, length.epochs + 1):
            plan = augment.plan(len(train), seed, epoch, model.augment).to(train.place)
            indices = plan.order.split(length.batch_size)[: length.steps]
            for _ in examples.batches(train, list(indices), plan, model.augment):
                pass

    def evaluate() -> None:
        fit.evaluate(trained.network, trained.val, model, task.of(whole.manifest), compute)

    data = _seconds(make_batches, compute.device)
    outputs = predict(trained.network, test, compute, recipes(STUDY).evaluation.views)
    return Run(
        accuracy=(outputs.argmax(1) == test.targets).float().mean().item(),
        seconds=trained.seconds,
        data=data,
        steps=watch.seconds - data,
        evaluation=(length.epochs + 1) * _seconds(evaluate, compute.device),
    )


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    synchronize(device)
    started = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - started
