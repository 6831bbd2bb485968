"""The numbers of a study as files: for `dvc metrics`, for `dvc plots`, and for other programs."""

from typing import Any

import numpy as np
import pandas as pd

from vision.evaluation.calibration import bins_over_seeds
from vision.evaluation.convergence import course
from vision.evaluation.crossing import labels_a_class
from vision.evaluation.results import ACCURACY, Study

CURVES = ["epoch", "model", "labels", "train_loss", "val_loss", "val_score"]
MEASURES = {
    "accuracy": ["accuracy", "loss", "ece", "brier", "precision", "recall", "f1"],
    "mae": ["mae", "rmse", "r2", "within"],
}
SIZES = ["parameters", "trainable_parameters", "multiply_adds"]
COSTS = [*SIZES, "epochs", "seconds", "inference_images_per_second", "peak_memory_bytes"]


def metrics(study: Study) -> dict[str, Any]:
    """The winner, then by model and labels setting the score, and what chose if that is another
    measure: few numbers, so that `dvc metrics diff` and `dvc exp show` fit a screen; the same from
    run to run."""
    key = study.score.key
    keys = dict.fromkeys([f"val_{study.choice.key}", f"val_{key}", f"test_{key}"])
    return {"winner": study.winner, **_nested(study, list(keys))}


def costs(study: Study) -> dict[str, Any]:
    """Time, memory and size by model and labels setting. The first two vary from run to run."""
    measured = ["seconds", "inference_images_per_second", "peak_memory_bytes"]
    return _nested(study, [*measured, *SIZES])


def comparison(study: Study) -> pd.DataFrame:
    """One row a model and labels setting: every measure and cost, mean and spread over seeds; and
    the 95 % interval of the test score, `low` to `high`."""
    measures = [x for x in MEASURES[study.score.key] if f"test_{x}" in study.summary]
    means = [f"{split}_{name}" for split in ("test", "val") for name in measures] + ["gap"]
    spread = [name for mean in means for name in (mean, f"{mean}_std")]
    ends = [study.interval(model, labels) for model, labels in study.summary.index]
    table = study.summary.assign(low=[x for x, _ in ends], high=[x for _, x in ends])
    return table[["kind", "seeds", *spread, "low", "high", *COSTS]].reset_index()


def curves(study: Study) -> pd.DataFrame:
    """`course` of every model and labels setting, one below the other."""
    frames = [
        course(study, model, labels).assign(model=model, labels=labels)
        for model in study.kinds
        for labels in study.labels
    ]
    return pd.concat(frames)[CURVES].round(6)


def few_labels(study: Study) -> pd.DataFrame:
    """Mean test score by model and labels a class, where `all` is the mean over the classes."""
    rows = [
        (model, labels_a_class(study, labels), study.row(model, labels)[f"test_{study.score.key}"])
        for model in study.kinds
        for labels in study.labels
    ]
    return pd.DataFrame(rows, columns=["model", "labels", "test_score"]).round(6)


def calibration(study: Study) -> pd.DataFrame:
    """Mean confidence and share of right answers of the test predictions in each bin of confidence
    that has any, and the bin's share of them, by model; at the largest labels setting."""
    targets, frames = study.prepared.targets("test"), []
    for model in study.kinds:
        found = bins_over_seeds(study.outputs(model, "test"), targets)
        share = found.counts / found.counts.sum()
        table = {"confidence": found.confidence, "accuracy": found.accuracy, "share": share}
        frames.append(pd.DataFrame({"model": model, **table})[found.counts > 0])
    return pd.concat(frames).round(6)


def predictions(study: Study) -> pd.DataFrame:
    """What the winner's first seed said of each test image: actual, predicted (names or values)."""
    targets = study.prepared.targets("test")
    outputs = study.predictions(study.of(study.winner, study.labels[0])[0].run, "test")
    if study.score is ACCURACY:
        classes = np.array(study.prepared.manifest.classes, dtype=object)
        return pd.DataFrame(
            {"actual": classes[targets], "predicted": classes[outputs.argmax(axis=1)]}
        )
    return pd.DataFrame({"actual": targets, "predicted": outputs.ravel()}).round(6)


def _nested(study: Study, keys: list[str]) -> dict[str, Any]:
    """The summary's columns as model → labels → key → number, without what is missing."""
    found: dict[str, Any] = {}
    for model, labels in study.summary.index:
        row = study.row(model, labels)
        found.setdefault(model, {})[labels] = {
            key: _rounded(key, row[key]) for key in keys if pd.notna(row[key])
        }
    return found


def _rounded(key: str, value: float) -> float | int:
    """Four decimals for shares and losses, four significant digits for other measured numbers."""
    if key in SIZES:
        return int(value)
    if "accuracy" in key or "loss" in key or "r2" in key:
        return round(float(value), 4)
    return float(f"{value:.4g}")
