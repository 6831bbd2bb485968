"""From a model's params and the prepared data to a trained network."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vision import backbone, examples, features, fit, runtime, task
from vision.checkpoint import Checkpoint
from vision.errors import UserError
from vision.examples import Images
from vision.fit import Length, Row, Watcher
from vision.nets.speednet import Whitening
from vision.network import Architecture, Input, Network, build_body, count_parameters
from vision.params import Finetune, Recipe, Runtime, Scratch, Transfer, phases
from vision.prepared import Manifest, Prepared
from vision.runtime import Compute, choose
from vision.saved import Description

WHITENED, WHITENED_BATCH = 5000, 100
"""At most so many training images is a whitening layer computed from, so many at a time."""


@dataclass(frozen=True)
class Trained:
    network: Network
    description: Description
    rows: list[Row]
    compute: Compute
    val: Images
    seconds: float
    """Of wall time, those before an interruption included."""


@dataclass
class PhaseKeeper:
    """Keeps the state of one phase, and the network it is part of, in a run's checkpoint."""

    checkpoint: Checkpoint | None
    network: Network
    weights: dict[str, str] | None
    phase: str
    rows: list[Row]
    """Of the phases before."""
    started: float
    followed: bool = False
    resumed: dict[str, Any] | None = None
    shortcut: bool | None = None
    """Whether what is trained is what follows the frozen layers, on their outputs."""

    def due(self) -> bool:
        return self.checkpoint is not None and self.checkpoint.due()

    def save(self, state: dict[str, Any]) -> None:
        assert self.checkpoint is not None
        self.checkpoint.save(
            {
                "phase": self.phase,
                "rows": [asdict(row) for row in self.rows],
                "seconds": time.perf_counter() - self.started,
                "weights": self.weights,
                "network": self.network.state_dict(),
                "shortcut": self.shortcut,
                "fit": state,
            }
        )


def train(
    model: Scratch | Transfer,
    prepared: Prepared,
    subset: NDArray[np.int64],
    seed: int,
    wanted: Runtime,
    watcher: Watcher,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train one model on the training images `subset` (indices, ascending), choosing its weights
    on the validation split. A run that `checkpoint` holds is continued.

    Raises:
        UserError: weights cannot be had, the device is missing or its memory too small, a crop is
            wider than the images, or the loss is not finite.
        Stopped: the checkpoint was asked to stop, and has saved what was done.
    """
    started = time.perf_counter()
    manifest = prepared.manifest
    learned = task.of(manifest)
    crop = max(recipe.augment.crop for recipe in phases(model).values())
    if crop >= min(manifest.height, manifest.width):
        raise UserError(
            f"augment.crop: {crop} cannot be mirrored at the border of images of "
            f"{manifest.width}x{manifest.height}; make it smaller"
        )
    torch.manual_seed(seed)
    network, described = build(model, manifest, learned.outputs)
    compute = choose(wanted, network)
    network.to(compute.device)
    fixed = [x for x in network.parameters() if not x.requires_grad]
    train_images = examples.load(prepared, "train", described["input"], compute, subset)
    val_images = examples.load(prepared, "val", described["input"], compute)
    if isinstance(model, Scratch):
        _whiten(network, train_images)

    saved = checkpoint.load() if checkpoint else None
    if saved and saved["weights"] != described["weights"]:
        saved = None  # the file of pretrained weights is another one now
    rows: list[Row] = []
    if saved:
        started -= saved["seconds"]
        network.load_state_dict(saved["network"])
        rows = [Row(**row) for row in saved["rows"]]
        before = rows + [Row(**row) for row in saved["fit"]["rows"]]
        length = Length.of(phases(model)[saved["phase"]], len(subset))
        watcher.resumed(before, saved["fit"]["step"] * length.batch_size)
    finished = {row.phase for row in rows}
    for phase, recipe in phases(model).items():
        rates: dict[nn.Parameter, float] = {}
        if isinstance(model, Transfer):
            rates = _freeze(network, recipe)
            for parameter in fixed:  # the network's own, as the filters of a whitening layer
                parameter.requires_grad_(False)
        trainable = count_parameters(network, trainable=True)
        if phase in finished or (saved and recipe.epochs == 0):
            continue
        if checkpoint:
            checkpoint.rest()  # what is frozen runs first
        followed = checkpoint is not None and phase != list(phases(model))[-1]
        keeper = PhaseKeeper(
            checkpoint, network, described["weights"], phase, rows, started, followed
        )
        if saved and saved["phase"] == phase:
            keeper.resumed, keeper.shortcut = saved["fit"], saved["shortcut"]
        with runtime.explaining(recipe.batch_size, recipe.accumulate):
            module, train_set, val_set = features.shortcut(
                network, recipe, train_images, val_images, seed, compute, keeper.shortcut
            )
            keeper.shortcut = module is not network
            if wanted.compile:
                module.compile()
            rows += fit.fit(
                module,
                train_set,
                val_set,
                recipe,
                learned,
                compute,
                phase=phase,
                seed=seed,
                first_epoch=len(rows),
                stem=backbone.first_layer(network.body),
                rates=rates,
                watcher=watcher,
                keeper=keeper,
            )
    seconds = time.perf_counter() - started
    description = Description(
        task=manifest.task,
        classes=manifest.classes,
        unit=manifest.unit,
        target_mean=learned.target_mean,
        target_std=learned.target_std,
        dropout=model.dropout,
        parameters=count_parameters(network),
        trainable_parameters=trainable,
        **described,
    )
    return Trained(network, description, rows, compute, val_images, seconds)


def build(
    model: Scratch | Transfer, manifest: Manifest, outputs: int
) -> tuple[Network, dict[str, Any]]:
    """The network before training, and what its description says of where it comes from.

    Raises:
        UserError: there is no such network or backbone, it does not take its arguments or images of
            this size, or weights cannot be had.
    """
    if isinstance(model, Transfer):
        found = backbone.load(model, manifest)
        network = _headed(found.body, found.input, outputs, model.dropout, model.backbone)
        return network, {
            "kind": "transfer",
            "backbone": model.backbone,
            "weights": found.weights,
            "architecture": found.architecture,
            "input": found.input,
        }
    expects = Input(manifest.channels, manifest.height, manifest.width, manifest.mean, manifest.std)
    architecture = Architecture(model.net, model.arguments, model.stem)
    body = build_body(architecture, expects)
    return _headed(body, expects, outputs, model.dropout, model.net), {
        "kind": "scratch",
        "backbone": None,
        "weights": None,
        "architecture": architecture,
        "input": expects,
    }


def _headed(body: nn.Module, expects: Input, outputs: int, dropout: float, name: str) -> Network:
    try:
        return Network(body, expects, outputs, dropout)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    except Exception as error:  # networks refuse a size in ways of their own
        raise UserError(
            f"{name} cannot take {expects.width}x{expects.height} pixels ({error}): set "
            "image_size to a size that it takes"
        ) from error


def _freeze(network: Network, recipe: Recipe) -> dict[nn.Parameter, float]:
    """Freeze what the phase does not train; factors on the learning rate of what it does."""
    if not isinstance(recipe, Finetune):
        backbone.train_last(network.body, 0)
        return {}
    backbone.train_last(network.body, recipe.layers, recipe.batchnorm)
    return backbone.layer_rates(network.body, recipe.layer_decay)


def _whiten(network: Network, images: Images) -> None:
    """Give a first layer that is computed from the training images what it needs of them."""
    for module in network.body.children():
        if isinstance(module, Whitening):
            step = math.ceil(len(images) / WHITENED)  # they may lie sorted by class
            few = torch.arange(0, len(images), step)
            module.fit(
                images.batch(part, None, examples.NONE) for part in few.split(WHITENED_BATCH)
            )
