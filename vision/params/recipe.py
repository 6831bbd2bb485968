"""How a network is trained."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from vision.params.optim import Constant, Optimizer, Schedule
from vision.params.section import Fraction, Section


class Augment(Section):
    """Random changes of each training image, drawn anew each epoch. All off by default."""

    flip: bool | Literal["alternating"] = False
    """Mirror left to right with probability one half; alternating: half of the images at first,
    and then each in every other epoch (arXiv 2404.00498)."""
    crop: NonNegativeInt = 0
    """Pad by this many pixels (by reflection) and crop back at a random place."""
    shift: Fraction = 0.0
    """Move by up to this share of the side, along each axis."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by up to this many degrees, either way."""
    zoom: Fraction = 0.0
    """Scale by a factor between 1 - zoom and 1 + zoom."""
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of erasing one rectangle (random erasing, arXiv 1708.04896)."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Blend each image with another; the shares are drawn from Beta(mixup, mixup) (arXiv
    1710.09412). With cutmix too, each image gets one of the two."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """Paste a rectangle of another image into each; the area is drawn from Beta(cutmix, cutmix)
    (arXiv 1905.04899)."""


class Recipe(Section):
    """One phase of training."""

    epochs: NonNegativeInt
    """Passes over the training images; 0 leaves the network as it begins."""
    min_steps: NonNegativeInt = 0
    """Where labels are few, each epoch goes over them as often as it takes to come to this many
    steps in all."""
    batch_size: PositiveInt = 128
    """Images a step. What fills no batch is left out of the epoch; each draws its order anew."""
    accumulate: PositiveInt = 1
    """Parts in which a batch goes through the network, one after the other, so that it needs less
    memory: the same steps, but that BatchNorm sees the parts."""
    optimizer: Optimizer
    schedule: Schedule = Constant(name="constant")
    loss: Literal["cross_entropy", "l1", "l2", "huber"] | None = None
    """null: cross_entropy for classes, l2 for numbers."""
    label_smoothing: Fraction = 0.0
    """Share of each target that goes to all classes alike (arXiv 1512.00567)."""
    balance: Literal["weights", "sampling"] | None = None
    """Where some classes have more images than others. weights: each class counts the same in the
    loss; sampling: each is drawn as often in an epoch, its images again and again or not all."""
    clip: PositiveFloat | None = None
    """The largest norm of a step's gradient (arXiv 1211.5063)."""
    stem_epochs: PositiveInt | None = None
    """Epochs after which the network's first layer is trained no further."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay, a step, of an exponential moving average of the weights; the average is then what is
    validated and kept."""
    early_stopping: PositiveInt | None = None
    """Stop after this many epochs without a better validation score."""
    augment: Augment = Augment()
