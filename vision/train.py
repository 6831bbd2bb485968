"""From a model's params and the prepared data to a trained network."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vision import backbone, fit, task
from vision.checkpoint import Checkpoint
from vision.errors import UserError
from vision.examples import NONE, Examples, Features, Images, load_images
from vision.fit import Row, Watcher
from vision.network import Architecture, Input, Network, build_body, count_parameters
from vision.params import Finetune, Recipe, Runtime, Scratch, Transfer, phases
from vision.prepared import Manifest, Prepared, Split
from vision.runtime import Compute, choose
from vision.saved import Description


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
    resumed: dict[str, Any] | None = None

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
                "fit": state,
            }
        )


def train(
    model: Scratch | Transfer,
    prepared: Prepared,
    subset: NDArray[np.int64],
    seed: int,
    runtime: Runtime,
    watcher: Watcher,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train one model on the training images `subset` (indices, ascending), choosing its weights
    on the validation split. A run that `checkpoint` holds is continued.

    Raises:
        UserError: weights cannot be had, the device is missing, a crop is wider than the images, or
            the loss is not finite.
        Stopped: the checkpoint was asked to stop, and has saved.
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
    network, described = _build(model, manifest, learned.outputs)
    compute = choose(runtime, network)
    network.to(compute.device)
    train_images = examples(prepared, "train", described["input"], compute, subset)
    val_images = examples(prepared, "val", described["input"], compute)

    saved = checkpoint.load() if checkpoint else None
    if saved and saved["weights"] != described["weights"]:
        saved = None  # the file of pretrained weights is another one now
    rows: list[Row] = []
    if saved:
        started -= saved["seconds"]
        network.load_state_dict(saved["network"])
        rows = [Row(**row) for row in saved["rows"]]
        for row in rows + [Row(**row) for row in saved["fit"]["rows"]]:
            watcher.epoch(row, 0, 0.0)
    finished = {row.phase for row in rows}
    for phase, recipe in phases(model).items():
        if isinstance(model, Transfer):
            _freeze(network, recipe)
        if phase in finished or (saved and recipe.epochs == 0):
            continue
        module, train_set, val_set = _shortcut(network, recipe, train_images, val_images, compute)
        keeper = PhaseKeeper(checkpoint, network, described["weights"], phase, rows, started)
        if saved and saved["phase"] == phase:
            keeper.resumed = saved["fit"]
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
        trainable_parameters=count_parameters(network, trainable=True),
        **described,
    )
    return Trained(network, description, rows, compute, val_images, seconds)


def examples(
    prepared: Prepared,
    split: Split,
    expects: Input,
    compute: Compute,
    subset: NDArray[np.int64] | None = None,
) -> Images:
    """A split, or the images `subset` of it, ready for a network."""
    pixels, targets = prepared.images(split), prepared.targets(split)
    if subset is not None and len(subset) < len(targets):
        pixels, targets = pixels[subset], targets[subset]
    learned = task.of(prepared.manifest)
    scale = None if learned.classification else (learned.target_mean, learned.target_std)
    return load_images(pixels, targets, expects, compute, scale)


def _build(
    model: Scratch | Transfer, manifest: Manifest, outputs: int
) -> tuple[Network, dict[str, Any]]:
    """The network before training, and what its description says of where it comes from."""
    if isinstance(model, Transfer):
        found = backbone.load(model, manifest)
        try:
            network = Network(found.body, found.input, outputs, model.dropout)
        except Exception as error:  # networks refuse a size in ways of their own
            raise UserError(
                f"backbone {model.backbone} cannot take {found.input.width}x{found.input.height} "
                f"pixels ({error}): set image_size to a size that it takes"
            ) from error
        return network, {
            "kind": "transfer",
            "backbone": model.backbone,
            "weights": found.weights,
            "architecture": found.architecture,
            "input": found.input,
        }
    expects = Input(manifest.channels, manifest.height, manifest.width, manifest.mean, manifest.std)
    architecture = Architecture(model.net)
    network = Network(build_body(architecture, expects), expects, outputs, model.dropout)
    return network, {
        "kind": "scratch",
        "backbone": None,
        "weights": None,
        "architecture": architecture,
        "input": expects,
    }


def _freeze(network: Network, recipe: Recipe) -> None:
    if isinstance(recipe, Finetune):
        backbone.train_last(network.body, recipe.layers, recipe.batchnorm)
    else:
        backbone.train_last(network.body, 0)


def _shortcut(
    network: Network, recipe: Recipe, train: Images, val: Images, compute: Compute
) -> tuple[torch.nn.Module, Examples, Examples]:
    """What a phase has to train, and on what: where the whole body is frozen and images are not
    augmented, its features are computed once and the head alone is trained on them."""
    frozen = not any(p.requires_grad for p in network.body.parameters())
    if not frozen or recipe.augment != NONE or recipe.epochs == 0:
        return network, train, val
    body = network.body
    return (
        network.head,
        Features(fit.predict(body, train, compute), train.targets),
        Features(fit.predict(body, val, compute), val.targets),
    )
