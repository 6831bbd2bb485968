"""What the predictions are worth: pure functions from predictions and targets to numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.metrics import (
    confusion_matrix,
    mean_absolute_error,
    precision_recall_fscore_support,
    r2_score,
    root_mean_squared_error,
)

from vision.errors import UserError
from vision.evaluation import calibration
from vision.evaluation.shares import share, wilson

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """Shares 0..1 with 95 % intervals, [K] each."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def classification(logits: Floats, targets: Indices, classes: Sequence[str]) -> dict[str, Any]:
    """Measure class predictions.

    Args:
        logits: scores before the softmax, [N, K].
        targets: class indices, [N].
        classes: the K class names.

    Returns:
        accuracy; loss (mean negative log likelihood, nats); ece and brier, as in
        vision.evaluation.calibration; precision, recall and f1 (macro, over the classes that occur
        in the targets; 0 where a class was never predicted); confusion [K][K], a row a true class.

    Raises:
        UserError: a logit is not finite.
    """
    _require_finite(logits)
    labels = np.arange(len(classes))
    predicted = logits.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, predicted, labels=labels, zero_division=0
    )
    present = support > 0
    return {
        "accuracy": float(np.mean(predicted == targets)),
        "loss": calibration.loss(logits, targets),
        "ece": calibration.bins(*calibration.confidence(logits, targets)).ece,
        "brier": calibration.brier(logits, targets),
        "precision": float(np.mean(precision[present])),
        "recall": float(np.mean(recall[present])),
        "f1": float(np.mean(f1[present])),
        "confusion": confusion_matrix(targets, predicted, labels=labels).tolist(),
    }


def per_class(confusion: NDArray[np.floating[Any] | np.integer[Any]]) -> dict[str, Share]:
    """Precision, recall and F1 of each class, with intervals over the choice of test images.

    F1 is a rising function, 2 s / (1 + s), of s: the hits among the images that are of the class or
    taken for it. Wilson's interval of s so becomes one of F1 (the indirect method of arXiv
    2309.14621).

    Args:
        confusion: counts [K, K], a row a true class; may be means over seeds.
    """
    hits, of_class, answers = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    either = _share(hits, of_class + answers - hits)
    return {
        "precision": _share(hits, answers),
        "recall": _share(hits, of_class),
        "f1": Share(*(2 * x / (1 + x) for x in (either.value, either.low, either.high))),
    }


def _share(hits: ArrayLike, trials: ArrayLike) -> Share:
    return Share(share(hits, trials), *wilson(hits, trials))


def regression(
    predictions: Floats, targets: Floats, training: Floats, tolerance: float | None = None
) -> dict[str, float]:
    """Measure predicted numbers, beside always predicting one number.

    Args:
        predictions: in the target's unit, [N] or [N, 1].
        targets: [N].
        training: targets of the training split, [M]; their median is the constant with the smallest
            MAE there.
        tolerance: the error up to which a prediction counts as right, in the target's unit.

    Returns:
        mae, rmse, r2 (nan for a single image), baseline_mae (of the mean) and median_mae; with a
        tolerance, within: the share of predictions with no larger error, known in age estimation as
        the cumulative score.

    Raises:
        UserError: a prediction is not finite.
    """
    _require_finite(predictions)
    predicted = predictions.astype(np.float64).ravel()
    exact = targets.astype(np.float64)
    mean = np.full_like(exact, training.mean(dtype=np.float64))
    median = np.full_like(exact, np.median(training))
    found = {
        "mae": float(mean_absolute_error(exact, predicted)),
        "rmse": float(root_mean_squared_error(exact, predicted)),
        "r2": float(r2_score(exact, predicted)) if len(exact) > 1 else math.nan,
        "baseline_mae": float(mean_absolute_error(exact, mean)),
        "median_mae": float(mean_absolute_error(exact, median)),
    }
    if tolerance is not None:
        found["within"] = float(np.mean(np.abs(predicted - exact) <= tolerance))
    return found


def confident_mistakes(logits: Floats, targets: Indices, count: int) -> tuple[Indices, Floats]:
    """The wrongly classified images of which the model was surest, surest first.

    Returns:
        Their indices and the probability given to the wrong class, at most `count` of each.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    sure = probabilities.max(axis=1)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != targets)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    return chosen, sure[chosen]


def _require_finite(predictions: Floats) -> None:
    broken = int(np.sum(~np.isfinite(predictions).reshape(len(predictions), -1).all(axis=1)))
    if broken:
        raise UserError(
            f"{broken} of {len(predictions)} predictions are not finite numbers: "
            "the training diverged; lower the model's learning rate"
        )
