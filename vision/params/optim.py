"""Optimizers, and schedules of their learning rate."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from vision.params.section import Fraction, Section

Momentum = Annotated[float, Field(gt=0, lt=1)]
"""Of Nesterov's kind, which there is none of at 0."""


Rate = PositiveFloat
"""The learning rate at its highest; the schedule says when."""

Decay = Annotated[float, Field(ge=0)]
"""As torch.optim has it; of weights alone, not of biases and the scales and shifts of
normalisation."""


class SGD(Section):
    """torch.optim.SGD."""

    name: Literal["sgd"]
    lr: Rate
    momentum: Fraction = 0.9
    nesterov: bool = True
    weight_decay: Decay = 0.0


class Adam(Section):
    """torch.optim.Adam and torch.optim.AdamW."""

    name: Literal["adam", "adamw"]
    lr: Rate
    weight_decay: Decay = 0.0


class Others(Section):
    """SGD with Nesterov momentum, for the parameters that Muon is not for."""

    lr: Rate
    """Of the head."""
    bias_lr: Rate
    """Of the body's biases, scales and shifts."""
    momentum: Momentum = 0.85
    weight_decay: Fraction = 0.0
    """The share of these parameters that is added to a step's gradient, in units of the rate.
    Momentum carries it on: in the long run a step at the full rate takes away about
    1 / (1 - momentum) times as much."""


class Muon(Section):
    """Orthogonalised momentum for the matrices and convolutions of the body, whose norm is held at
    that of an orthogonal matrix (arXiv 2404.00498 and its author's airbench94_muon)."""

    name: Literal["muon"]
    lr: Rate
    momentum: Momentum = 0.6
    others: Others


Optimizer = Annotated[SGD | Adam | Muon, Field(discriminator="name")]


class Constant(Section):
    name: Literal["constant"]


class Step(Section):
    """Multiply the rate by `gamma` every `step_size` epochs."""

    name: Literal["step"]
    step_size: PositiveInt
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Linear(Section):
    """From the full rate to zero along a line."""

    name: Literal["linear"]


class Cosine(Section):
    """From the full rate to zero along half a cosine (arXiv 1608.03983)."""

    name: Literal["cosine"]


class OneCycle(Section):
    """A linear rise over the share `warmup` of all steps, then a linear fall (arXiv 1708.07120)."""

    name: Literal["one_cycle"]
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.25


class Plateau(Section):
    """Multiply the rate by `factor` when the validation loss has not improved for more than
    `patience` epochs."""

    name: Literal["reduce_on_plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    patience: NonNegativeInt = 3
    min_lr: Annotated[float, Field(ge=0)] = 0.0


Schedule = Annotated[
    Constant | Step | Linear | Cosine | OneCycle | Plateau, Field(discriminator="name")
]
