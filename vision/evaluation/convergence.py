"""How soon each model was nearly as good as it became."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from vision.evaluation.results import Result, Study

SHARES = (0.90, 0.95, 0.99)
"""Of the final validation score."""
MEANS = ["images", "seconds", "train_loss", "train_score", "val_loss", "val_score"]


@dataclass(frozen=True)
class Reached:
    """The end of the first epoch that reached a share of the final validation score, mean over
    seeds."""

    epochs: float
    images: float
    seconds: float
    """Wall time since the start; nan where a run was interrupted and continued."""


def reached(study: Study, model: str, labels: str) -> dict[float, Reached] | None:
    """By share; nothing for a model that trained no epoch.

    The final score is that of the best epoch, whose weights are kept. Of an error, which has no
    natural zero to start from, the share is that of the way from always predicting the training
    mean down to the final error.
    """
    results = study.of(model, labels)
    if any(result.history.empty for result in results):
        return None
    found = {}
    for share in SHARES:
        rows = [_first(study, result, share) for result in results]
        epochs, images, seconds = np.mean(rows, axis=0)
        found[share] = Reached(float(epochs), float(images), float(seconds))
    return found


def course(study: Study, model: str, labels: str) -> pd.DataFrame:
    """Losses and scores by epoch, beside the images and seconds since the start: means over seeds,
    for as long as all trained; seconds are missing where a run was continued."""
    joined = [
        result.history.merge(result.moments, on="epoch") for result in study.of(model, labels)
    ]
    groups = pd.concat(joined).groupby("epoch")
    whole = groups["seconds"].count() == len(joined)
    mean = groups[MEANS].mean()
    mean["seconds"] = mean["seconds"].where(whole)
    return mean[groups.size() == len(joined)].reset_index()


def _first(study: Study, result: Result, share: float) -> tuple[float, float, float]:
    scores = result.history["val_score"].to_numpy(float)
    if study.score.higher_is_better:
        enough = scores >= share * scores.max()
    else:
        start = max(float(result.metrics["val"]["baseline_mae"]), scores.min())
        enough = scores <= start - share * (start - scores.min())
    row = result.moments.iloc[int(np.argmax(enough))]
    return float(row["epoch"]), float(row["images"]), float(row["seconds"])
