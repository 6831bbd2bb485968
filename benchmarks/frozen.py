"""Training behind frozen layers, whose outputs the engine computes once."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import mean, stdev
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks import engine
from benchmarks.inputs import Inputs, changed, evenly
from benchmarks.processes import in_turn
from benchmarks.table import Bar, Row
from vision import examples
from vision.examples import Examples, Images
from vision.network import Network
from vision.params import Augment, Finetune, HeadRecipe, Recipe, Transfer
from vision.predict import predict
from vision.prepared import Prepared

JUDGED = 2_000
"""Validation images on which trained networks are compared."""


@dataclass(frozen=True)
class Outcome:
    """What a training came to."""

    seconds: float
    outputs: NDArray[np.float32]
    """For the judged images, [N, K]."""
    accuracy: float


def frozen(inputs: Inputs, train: int = 3_840, epochs: int = 10, pairs: int = 3) -> list[Row]:
    """A frozen MobileNetV1: its outputs once, or at every epoch."""
    model = inputs.transfer("frozen")
    assert isinstance(model.head, HeadRecipe)
    model = changed(model, head=changed(model.head, epochs=epochs, augment=Augment()))
    found = _both_ways(inputs, model, train, pairs)
    once, ever = zip(*found, strict=True)
    same = sum((a.outputs.argmax(1) == b.outputs.argmax(1)).sum() for a, b in found)
    count = sum(len(a.outputs) for a in once)
    apart = max(np.abs(a.outputs - b.outputs).max() for a, b in found)
    return [
        Row(
            f"frozen MobileNetV1 at {model.image_size}x{model.image_size}, {epochs} epochs",
            "the same with the backbone run at every epoch",
            _gains(found),
            bar=Bar("≥", 8.0),
            holds=bool(same == count),
            note=f"{train:,} training images; {_seconds(once, ever)}. Same prediction for {same:,} "
            f"of {count:,} validation images, outputs at most {apart:.1g} apart.",
        )
    ]


def last_layers(inputs: Inputs, train: int = 1_536, epochs: int = 10, pairs: int = 3) -> list[Row]:
    """The last fifth of MobileNetV1's layers: the others once, or at every step."""
    model = inputs.transfer("finetuned")
    assert isinstance(model.finetune, Finetune)
    recipe = changed(model.finetune, layers=0.2, epochs=epochs, augment=Augment())
    model = changed(model, head=None, finetune=recipe)
    found = _both_ways(inputs, model, train, pairs)
    once, ever = zip(*found, strict=True)
    ours, theirs = [o.accuracy for o in once], [o.accuracy for o in ever]
    noise = stdev(theirs)
    return [
        Row(
            f"the last fifth of MobileNetV1 at {model.image_size}x{model.image_size}, {epochs} "
            "epochs",
            "the same with the whole network run at every step",
            _gains(found),
            bar=Bar("≥", 2.5),
            holds=abs(mean(ours) - mean(theirs)) <= noise,
            note=f"{train:,} training images; {_seconds(once, ever)}. Accuracy on "
            f"{len(once[0].outputs):,} validation images over {pairs} seeds: {mean(ours):.2%} and "
            f"{mean(theirs):.2%}, the standard deviation of the latter {noise:.2%}.",
        )
    ]


def _both_ways(
    inputs: Inputs, model: Transfer, train: int, pairs: int
) -> list[tuple[Outcome, Outcome]]:
    """With the shortcut and without it."""
    part, whole = inputs.part(train, train // 9), inputs.whole()
    ours, theirs = (partial(outcome, model, part, whole, shortcut) for shortcut in (True, False))
    return in_turn(ours, theirs, pairs)


def outcome(model: Transfer, part: Prepared, whole: Prepared, shortcut: bool, seed: int) -> Outcome:
    """Train on a part, and predict validation images of the whole."""
    import timm  # noqa: F401 - seconds that are not the training's

    way: AbstractContextManager[object] = nullcontext()
    if not shortcut:
        way = mock.patch("vision.features.shortcut", _left_out)
    with way:
        trained, _ = engine.run(model, part, seed=seed)
    judged = evenly(whole.manifest.counts["val"], JUDGED)
    images = examples.load(whole, "val", trained.description.input, trained.compute, judged)
    outputs = predict(trained.network, images, trained.compute)
    accuracy = (outputs.argmax(1) == images.targets).float().mean().item()
    return Outcome(trained.seconds, outputs.cpu().numpy(), accuracy)


def _left_out(
    network: Network, recipe: Recipe, train: Images, val: Images, *_: object
) -> tuple[nn.Module, Examples, Examples]:
    """In place of `features.shortcut`: the network on the images."""
    return network, train, val


def _gains(found: list[tuple[Outcome, Outcome]]) -> list[float]:
    return [ever.seconds / once.seconds for once, ever in found]


def _seconds(once: tuple[Outcome, ...], ever: tuple[Outcome, ...]) -> str:
    pairs = zip(once, ever, strict=True)
    shown = ", ".join(f"{a.seconds:.1f} and {b.seconds:.1f}" for a, b in pairs)
    return f"seconds of the whole training: {shown}"
