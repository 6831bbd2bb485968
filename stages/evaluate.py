"""Predict validation and test with every model of the study: python -m stages.evaluate.

No stage before it reads the test split.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stages import entry
from vision import examples, params, runtime, saved, task
from vision.errors import UserError
from vision.evaluation import corruptions, gradcam, metrics
from vision.examples import Images
from vision.operations import multiply_adds
from vision.params import Params, Run
from vision.predict import predict
from vision.prepared import SPLITS, Prepared
from vision.task import Task

TRAINING = 2000
"""Training images that are scored, at most: the gap to the test images is known to one or two
points (1.3 at 90 % and 2.2 at 50 % accuracy, two standard errors)."""


def main() -> str:
    study = params.load()
    prepared = Prepared(Path("data/prepared"))
    root = Path("reports/evaluation")
    for run in tqdm(study.runs, unit=" models", desc="evaluate"):
        _evaluate(run, prepared, study, run.under(root))
    return f"{root}: predictions and metrics of {len(study.runs)} models"


def _evaluate(run: Run, prepared: Prepared, study: Params, folder: Path) -> None:
    network, description = saved.load(run.under(Path("models")))
    found: dict[str, Any] = {"multiply_adds": multiply_adds(network, description.input)}
    compute = runtime.choose(study.runtime, network)
    network.to(compute.device)
    learned = task.of(prepared.manifest)

    def outputs(images: Images) -> NDArray[np.float32]:
        predicted = predict(network, images, compute, study.evaluation.views)
        return learned.in_unit(predicted).cpu().numpy()

    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        chosen = _sample(run, prepared) if split == "train" else None
        images = examples.load(prepared, split, description.input, compute, chosen)
        predicted = outputs(images)
        targets = prepared.targets(split)
        targets = targets if chosen is None else targets[chosen]
        try:
            found[split] = _metrics(predicted, targets, prepared, study)
        except UserError as error:
            raise UserError(f"{run}: {error}") from None
        if split != "train":
            np.save(folder / f"{split}.npy", predicted)
        if split != "test":
            found[split].pop("confusion", None)  # K² numbers, which nobody reads
        else:
            gradcam.of_mistakes(network, images, predicted, targets).save(folder)
    _write(folder / "metrics.json", found)
    if run.labels != study.settings[0]:
        return

    for name in study.data.extra_tests:
        extra = Prepared(Path("data/extra") / name)
        predicted = outputs(examples.load(extra, "test", description.input, compute))
        np.save(folder / f"extra-{name}.npy", predicted)
    asked = study.evaluation.corruptions
    if asked:
        targets = prepared.targets("test")
        order = np.random.default_rng(0).permutation(len(targets))
        chosen = np.sort(order[: asked.images])

        def score(pixels: NDArray[np.uint8]) -> float:
            images = examples.of(pixels, targets[chosen], learned, description.input, compute)
            return _score(outputs(images), targets[chosen], learned)

        clean = prepared.images("test")[chosen]
        _write(folder / "robustness.json", corruptions.robustness(score, clean, asked))


def _score(outputs: NDArray[np.float32], targets: NDArray[Any], learned: Task) -> float:
    """Accuracy, or the mean absolute error."""
    if learned.classification:
        return float(np.mean(outputs.argmax(axis=1) == targets))
    return float(np.mean(np.abs(outputs.ravel() - targets)))


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def _sample(run: Run, prepared: Prepared) -> NDArray[np.int64]:
    """Some of the run's training images, ascending: enough to see the gap to the test images."""
    subset = prepared.training_subset(run.labels, run.seed)
    size = min(len(subset), prepared.manifest.counts["test"], TRAINING)
    return np.sort(np.random.default_rng(run.seed).choice(subset, size, replace=False))


def _metrics(
    outputs: NDArray[np.float32], targets: NDArray[Any], prepared: Prepared, study: Params
) -> dict[str, Any]:
    manifest = prepared.manifest
    if manifest.task == "classification":
        return metrics.classification(outputs, targets, manifest.classes)
    training = prepared.targets("train")
    return metrics.regression(outputs, targets, training, study.evaluation.tolerance)


if __name__ == "__main__":
    entry.run(main)
