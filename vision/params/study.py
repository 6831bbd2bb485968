"""The whole of params.yaml, and the runs that it asks for."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from vision.params.data import Data
from vision.params.evaluation import MEASURED, Evaluation, Select
from vision.params.messages import nearest
from vision.params.models import Model, Scratch, Transfer, phases
from vision.params.runtime import Runtime
from vision.params.section import Section

BACKBONES = ("timm/", "backbones/")
Labels = Literal["all"] | PositiveInt


class Params(Section):
    """The whole of params.yaml."""

    study: str
    """The study's name, as the page shows it."""
    data: Data
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)]
    """Each model is trained once with each, to see what luck does."""
    labels_per_class: Annotated[list[Labels], Field(min_length=1)]
    """Each model is trained with so many training images of each class; all: with every one."""
    scratch: list[str]
    """Names in `models`: of what is trained from random weights."""
    transfer: list[str]
    """Names in `models`: of what is built on pretrained weights."""
    models: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], Model]
    """By name, in letters, digits, _ and -: names are parts of commands and of DVC's keys."""
    evaluation: Evaluation
    runtime: Runtime
    select: Select | None = None
    """null: accuracy for classes, the mean absolute error for numbers."""
    baseline: str | None = None
    """The model whose variants the page ranks: those of the same net or backbone."""

    @model_validator(mode="after")
    def _check(self) -> "Params":
        for key, kind in (("scratch", Scratch), ("transfer", Transfer)):
            for name in getattr(self, key):
                if name not in self.models:
                    near = nearest(name, self.models)
                    raise ValueError(f"{key} names {name!r}, but models has no such entry{near}")
                if not isinstance(self.models[name], kind):
                    other = "transfer" if key == "scratch" else "scratch"
                    raise ValueError(f"{key} names {name!r}, which belongs under {other}")
        if not self.names:
            raise ValueError("scratch and transfer are both empty: name at least one model")
        if "winner" in self.names:
            raise ValueError("models: winner is a key of reports/metrics.json: rename the model")
        for key in ("seeds", "labels_per_class", "scratch", "transfer"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} names something twice: {values}")
        if self.baseline is not None and self.baseline not in self.names:
            near = nearest(self.baseline, self.names)
            raise ValueError(f"baseline: {self.baseline!r} is not a model of the study{near}")
        if self.select and self.select.metric not in MEASURED[self.data.task]:
            known = ", ".join(MEASURED[self.data.task])
            raise ValueError(
                f"select.metric: {self.select.metric} is not measured in {self.data.task}; "
                f"known: {known}"
            )
        if self.data.task == "regression" and self.labels_per_class != ["all"]:
            raise ValueError("labels_per_class must be [all] for regression")
        if self.evaluation.tolerance is not None and self.data.task != "regression":
            raise ValueError("evaluation.tolerance is for task: regression")
        for name, model in self.models.items():
            if isinstance(model, Transfer) and not model.backbone.startswith(BACKBONES):
                raise ValueError(
                    f"models.{name}: backbone {model.backbone} is neither timm/NAME nor a folder "
                    "below backbones/, where DVC sees what is in it: copy the folder there"
                )
            for recipe in phases(model).values():
                classes = recipe.loss == "cross_entropy"
                if recipe.loss and classes != (self.data.task == "classification"):
                    raise ValueError(
                        f"models.{name}: loss {recipe.loss} is not for {self.data.task}"
                    )
                if recipe.balance and self.data.task == "regression":
                    raise ValueError(f"models.{name}: balance is for classes")
                if recipe.label_smoothing and self.data.task == "regression":
                    raise ValueError(f"models.{name}: label_smoothing is for classes")
                if recipe.balance == "sampling" and recipe.augment.flip == "alternating":
                    raise ValueError(
                        f"models.{name}: flip: alternating wants each image once an epoch; with "
                        "balance: sampling, set flip: true"
                    )
                if recipe.accumulate > recipe.batch_size:
                    raise ValueError(
                        f"models.{name}: accumulate {recipe.accumulate} parts cannot be made of a "
                        f"batch of {recipe.batch_size}"
                    )
        return self

    @property
    def names(self) -> list[str]:
        """Every model of the study, scratch first."""
        return [*self.scratch, *self.transfer]

    @property
    def settings(self) -> list[Labels]:
        """The labels settings, the largest first."""
        return sorted(self.labels_per_class, key=lambda x: -math.inf if x == "all" else -x)

    @property
    def runs(self) -> list["Run"]:
        """Every training run of the study, in the order of the page."""
        return [
            Run(model, labels, seed)
            for model in self.names
            for labels in self.labels_per_class
            for seed in self.seeds
        ]


@dataclass(frozen=True)
class Run:
    """One trained model of the study."""

    model: str
    labels: Labels
    seed: int

    def __str__(self) -> str:
        return f"{self.model} {self.labels}-{self.seed}"

    def under(self, root: Path) -> Path:
        """Its folder below `root` (models, reports/training, reports/evaluation)."""
        return root / self.model / f"{self.labels}-{self.seed}"
