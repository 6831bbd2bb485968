"""A made-up study's results in a folder: what `report` reads, without any training."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from vision.evaluation import metrics, mistakes
from vision.evaluation.mistakes import Mistakes
from vision.params import Labels, Params, Run, check
from vision.prepared import SPLITS

SGD = {"name": "sgd", "lr": 0.1}


@dataclass(frozen=True)
class Made:
    """What to make up. Every number follows from these and from fixed random generators."""

    scratch: tuple[str, ...] = ("simple_cnn", "resnet20")
    transfer: tuple[str, ...] = ("frozen", "finetuned")
    labels: tuple[Labels, ...] = ("all", 10)
    seeds: tuple[int, ...] = (0, 1, 2)
    classes: tuple[str, ...] = ("cat", "dog", "ship")
    """Empty for regression."""
    unit: str = "years"
    span: tuple[float, float] = (1, 80)
    """Unit of the target in regression, and its least and greatest value."""
    counts: tuple[int, int, int] = (240, 60, 90)
    """Images in train, val and test."""
    side: int = 8
    original: tuple[int, int] = (8, 8)
    """Width and height before the images were packed."""
    channels: int = 1
    epochs: int = 6
    skill: dict[str, float] | None = None
    """Share of the answers that a model knows, 0..1; by default rising in the models' order."""
    corruptions: bool = False
    """Whether the runs were scored on images made worse, by noise and by JPEG."""


def make(root: Path, made: Made) -> Params:
    """Write params.yaml, data/prepared, models/ and reports/ below `root`."""
    content = _params(made)
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    params = check(content)
    targets = _prepared(root / "data" / "prepared", made)
    for run in params.runs:
        write_run(root, run, made, targets)
    return params


def write_run(root: Path, run: Run, made: Made, targets: dict[str, Any]) -> None:
    """Write what one run leaves behind."""
    names = [*made.scratch, *made.transfer]
    place = names.index(run.model) if run.model in names else 0
    skill = (made.skill or {}).get(run.model, 0.75 + 0.2 * place / len(names))
    skill *= 1 if run.labels == "all" else 0.7
    generator = np.random.default_rng(
        [place, 0 if run.labels == "all" else int(run.labels), run.seed]
    )
    model = run.under(root / "models")
    training = run.under(root / "reports" / "training")
    evaluation = run.under(root / "reports" / "evaluation")
    for folder in (model, training, evaluation):
        folder.mkdir(parents=True)
    measured: dict[str, Any] = {"multiply_adds": 40_000_000 * (place + 1)}
    for split in SPLITS:
        outputs = _outputs(targets[split], skill, made, generator)
        if made.classes:
            measured[split] = metrics.classification(outputs, targets[split], made.classes)
        else:
            measured[split] = metrics.regression(outputs, targets[split], targets["train"])
        if split != "train":
            np.save(evaluation / f"{split}.npy", outputs)
    index = mistakes.worst(outputs, targets["test"])
    seen = np.random.default_rng(0).integers(0, 256, (len(index), 4, 4), np.uint8)
    Mistakes(index, seen).save(evaluation)
    (evaluation / "metrics.json").write_text(json.dumps(measured))
    if made.corruptions and run.labels == made.labels[0]:
        clean = measured["test"]["accuracy" if made.classes else "mae"]
        step = -0.1 if made.classes else 2.0
        worse = {
            kind: {str(s): clean + share * step * s for s in range(1, 6)}
            for kind, share in (("gaussian_noise", 1), ("jpeg", 0.5))
        }
        scores = {"images": 50, "clean": clean, "corrupted": worse}
        (evaluation / "robustness.json").write_text(json.dumps(scores))
    cost = {
        "seconds": 20.0 * (place + 1) * (1 if made.epochs else 0),
        "epochs": made.epochs,
        "images_per_second": 900.0,
        "inference_images_per_second": 3000.0 / (place + 1),
        "peak_memory_bytes": 500_000_000,
        "device": "AMD EPYC, 2 cores",
        "precision": "bf16",
        "torch": "2.15.0",
    }
    (training / "cost.json").write_text(json.dumps(cost))
    scratch = run.model in made.scratch
    described = {
        "kind": "scratch" if scratch else "transfer",
        "net" if scratch else "backbone": "resnet20",
        "parameters": 270_000 + 1000 * place,
        "trainable_parameters": 270_000 if scratch else 650,
    }
    (model / "model.json").write_text(json.dumps(described))
    history = _history(made, skill, generator)
    history.to_csv(model / "history.csv", index=False)
    epochs = history["epoch"]
    moments = {"epoch": epochs, "images": 200 * epochs, "seconds": 20.0 * (place + 1) / 6 * epochs}
    pd.DataFrame(moments).to_csv(training / "epochs.csv", index=False)


def _params(made: Made) -> dict[str, Any]:
    recipe = {"epochs": made.epochs, "optimizer": SGD}
    classes = bool(made.classes)
    return {
        "study": "made up",
        "data": {
            "source": "folder",
            "path": "data/source",
            "task": "classification" if classes else "regression",
            "unit": "" if classes else made.unit,
        },
        "seeds": list(made.seeds),
        "labels_per_class": list(made.labels),
        "scratch": list(made.scratch),
        "transfer": list(made.transfer),
        "models": {
            **{name: {"net": "resnet20", **recipe} for name in made.scratch},
            **{name: {"backbone": "timm/resnet18", "head": recipe} for name in made.transfer},
        },
        "evaluation": {
            "views": "plain",
            **({"corruptions": {"images": 50}} if made.corruptions else {}),
        },
        "runtime": {"device": "auto", "precision": "auto"},
    }


def _prepared(root: Path, made: Made) -> dict[str, Any]:
    """Pictures that differ by target, and their manifest; returns the targets by split."""
    root.mkdir(parents=True)
    generator = np.random.default_rng(7)
    targets: dict[str, Any] = {}
    for split, size in zip(SPLITS, made.counts, strict=True):
        if made.classes:
            targets[split] = np.arange(size) % len(made.classes)
        else:
            targets[split] = generator.uniform(*made.span, size).astype(np.float32)
        shape = (size, made.side, made.side, made.channels)
        images = (
            generator.integers(0, 90, shape)
            + (targets[split] * 7 % 160).astype(int)[:, None, None, None]
        )
        np.save(root / f"{split}.npy", images.astype(np.uint8))
        np.save(root / f"{split}_targets.npy", targets[split])
    rows = [
        (split, i, f"{split}-{i}.png", x, *made.original)
        for split in SPLITS
        for i, x in enumerate(targets[split])
    ]
    columns = ["split", "index", "name", "target", "width", "height"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "samples.csv", index=False)
    size = len(made.classes)
    manifest = {
        "task": "classification" if size else "regression",
        "classes": list(made.classes),
        "unit": "" if size else made.unit,
        "height": made.side,
        "width": made.side,
        "channels": made.channels,
        "mean": [0.5] * made.channels,
        "std": [0.25] * made.channels,
        "target_mean": None if size else float(targets["train"].mean()),
        "target_std": None if size else float(targets["train"].std()),
        "counts": dict(zip(SPLITS, made.counts, strict=True)),
        "class_counts": {
            x: np.bincount(targets[x], minlength=size).tolist() if size else [] for x in SPLITS
        },
        "split_digest": "0" * 64,
        "duplicates_within": {"train": 2, "val": 0, "test": 0},
        "duplicates_across": [["train/a.png", "test/b.png"]],
        "deduplicated": 0,
        "skipped": [{"file": "broken <b>.png", "reason": "truncated"}],
    }
    (root / "manifest.json").write_text(json.dumps(manifest))
    return targets


def _outputs(targets: Any, skill: float, made: Made, generator: np.random.Generator) -> Any:
    """Predictions that are right about as often, or as nearly, as `skill` says."""
    if not made.classes:
        noise = generator.normal(0, 30 * (1 - skill), len(targets))
        return (targets + noise).astype(np.float32)[:, None]
    size = len(made.classes)
    logits = generator.normal(0, 1, (len(targets), size))
    known = generator.random(len(targets)) < skill
    answers = np.where(known, targets, generator.integers(0, size, len(targets)))
    logits[np.arange(len(targets)), answers] += 5
    return logits.astype(np.float32)


def _history(made: Made, skill: float, generator: np.random.Generator) -> pd.DataFrame:
    epochs = np.arange(1, made.epochs + 1)
    towards = 1 - 0.7**epochs
    wobble = generator.normal(0, 0.01, made.epochs)
    score = skill * towards + wobble if made.classes else 25 - 20 * skill * towards + wobble
    half = made.epochs // 2
    return pd.DataFrame(
        {
            "phase": ["head"] * half + ["finetune"] * (made.epochs - half),
            "epoch": epochs,
            "lr": 0.1,
            "train_loss": 2 - 1.6 * towards,
            "train_score": score + 0.02,
            "val_loss": 2 - 1.5 * towards,
            "val_score": score,
        }
    )
