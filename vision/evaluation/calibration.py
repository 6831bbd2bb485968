"""How far the probabilities of class predictions can be believed: pure functions.

An image's confidence is the probability of its predicted class; a model is calibrated if it is
right as often as its confidence says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from vision.evaluation.shares import unseen, wilson

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

BINS = 15
"""Of equal width over 0..1, as in arXiv 1706.04599."""
DRAWS = 500
"""Of the bootstrap."""
STEPS = 76
"""Errors that are tried for the bounds of an interval."""
RANGE = np.log(0.01), np.log(100)
"""Of the temperature's logarithm."""
FITTED = 10_000_000
"""Logits that a temperature is fitted on, about and at most: 10,000 images of a thousand classes,
which take 6 s (Xeon, 2.5 GHz) and leave it a standard error of about 1 %."""


@dataclass(frozen=True)
class Bins:
    """Predictions sorted by confidence into BINS bins, each (low, high]; [BINS] each."""

    counts: Indices
    confidence: Floats
    """Mean confidence; 0 where a bin is empty."""
    accuracy: Floats
    """Share of right answers; 0 where a bin is empty."""

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean distance of accuracy from confidence."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.sum(self.counts * gaps) / self.counts.sum())


@dataclass(frozen=True)
class Calibration:
    """A model's calibration on the test images, every number a mean over its seeds."""

    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    """Wilson's 95 % interval of `accuracy`."""
    ece: float
    ece_low: float
    ece_high: float
    """The 95 % interval of `ece`. Both are over the choice of test images."""
    brier: float
    loss: float
    """Mean negative log likelihood, nats."""
    temperature: float
    """The geometric mean of those that could be fitted; 1 where none could."""
    fitted: int
    """How many of the seeds' could be."""
    seeds: int
    scaled_ece: float
    scaled_loss: float
    """The same with each seed's logits divided by its temperature."""


def measure(
    validation: Sequence[Floats],
    validation_targets: Indices,
    test: Sequence[Floats],
    targets: Indices,
) -> Calibration:
    """Measure a model on the test images, before and after temperature scaling.

    Args:
        validation: logits on the validation images by seed, [M, K] each: the temperatures are
            fitted on these.
        validation_targets: class indices, [M].
        test: logits on the test images by seed, [N, K] each.
        targets: class indices, [N].
    """
    fits = [fit_temperature(logits, validation_targets) for logits in validation]
    found = [fit for fit in fits if fit is not None]
    temperatures = [1.0 if fit is None else fit for fit in fits]
    scaled = [logits / t for logits, t in zip(test, temperatures, strict=True)]
    answers = [confidence(logits, targets) for logits in test]
    low, high = ece_interval(answers)
    ends = wilson(np.mean([right for _, right in answers], axis=0).sum(), len(targets))

    def mean(numbers: Sequence[float]) -> float:
        return float(np.mean(numbers))

    return Calibration(
        confidence=mean([sure.mean() for sure, _ in answers]),
        accuracy=mean([right.mean() for _, right in answers]),
        accuracy_low=float(ends[0]),
        accuracy_high=float(ends[1]),
        ece=mean([bins(*answer).ece for answer in answers]),
        ece_low=low,
        ece_high=high,
        brier=mean([brier(logits, targets) for logits in test]),
        loss=mean([loss(logits, targets) for logits in test]),
        temperature=float(np.exp(np.mean(np.log(found)))) if found else 1.0,
        fitted=len(found),
        seeds=len(fits),
        scaled_ece=mean([bins(*confidence(logits, targets)).ece for logits in scaled]),
        scaled_loss=mean([loss(logits, targets) for logits in scaled]),
    )


def confidence(logits: Floats, targets: Indices) -> tuple[Floats, NDArray[np.bool_]]:
    """Each image's confidence, and whether the answer is right, [N] each."""
    exact = logits.astype(np.float64)
    return softmax(exact, axis=1).max(axis=1), exact.argmax(axis=1) == targets


def bins(sure: Floats, right: NDArray[np.bool_]) -> Bins:
    """Sort predictions by confidence, given both of `confidence`."""
    places = _places(sure)
    counts = np.bincount(places, minlength=BINS)
    filled = np.maximum(counts, 1)
    return Bins(
        counts,
        np.bincount(places, sure, BINS) / filled,
        np.bincount(places, right, BINS) / filled,
    )


def bins_over_seeds(outputs: Sequence[Floats], targets: Indices) -> Bins:
    """The bins of all seeds' predictions together, from each seed's logits, [N, K]."""
    sure, right = zip(*(confidence(logits, targets) for logits in outputs), strict=True)
    return bins(np.concatenate(sure), np.concatenate(right))


def ece_interval(
    answers: Sequence[tuple[Floats, NDArray[np.bool_]]], draws: int = DRAWS
) -> tuple[float, float]:
    """The 95 % interval of the mean ECE over seeds, by inverting a bootstrap test.

    The ECE of a sample is too high, as chance alone moves bins off the diagonal, most of all for a
    calibrated model; percentiles of resamples would be too high once more. So an ECE belongs to the
    interval if, with the noise of the resampled test images on top of it, the ECE that was found
    lies among the middle 95 %. That depends on where the bins' true gaps are: as they were found,
    or, for a model that is too sure or too unsure throughout, the same in each bin. Both are taken.
    An ECE of 0 needs no resampling, which knows too little of a model that is nearly always right:
    it belongs to the interval if answers that are right as often as they are sure have an ECE as
    large as the one found. Where every answer is right, as many more as `unseen` says might not be.

    Args:
        answers: what `confidence` says, by seed, of the same images.
    """
    size = len(answers[0][0])
    parts = [(_places(sure), right - sure) for sure, right in answers]

    def gaps(chosen: Indices | slice) -> Floats:
        found = [np.bincount(places[chosen], gap[chosen], BINS) for places, gap in parts]
        return np.array(found) / size

    def chance(toss: Floats) -> Floats:
        """The gaps if each answer were right as often as it is sure."""
        found = [
            np.bincount(places, (toss < sure) - sure, BINS)
            for (places, _), (sure, _) in zip(parts, answers, strict=True)
        ]
        return np.array(found) / size

    def error(gaps: Floats) -> Floats:
        return np.abs(gaps).sum(axis=-1).mean(axis=-1)

    observed = gaps(slice(None))
    found = float(error(observed))
    generator = np.random.default_rng(0)
    noise = np.array([gaps(generator.integers(0, size, size)) for _ in range(draws)]) - observed
    counts = np.array([bins(*answer).counts for answer in answers]) / size
    calibrated = [error(chance(generator.random(size))) for _ in range(draws)]
    inside = [found, *([0.0] if found <= np.quantile(calibrated, 0.975) else [])]
    for shape in (observed, counts * np.sign(observed.sum(axis=1, keepdims=True))):
        scale = float(error(shape))
        for true in np.linspace(0, 2.5 * found, STEPS)[1:] if scale else ():
            low, high = np.quantile(error(shape * true / scale + noise), [0.025, 0.975])
            inside += [float(true)] if low <= found <= high else []
    faultless = all(right.all() for _, right in answers)
    return min(inside), min(1.0, max(inside) + (unseen(size) if faultless else 0.0))


def brier(logits: Floats, targets: Indices) -> float:
    """Brier's score over all classes, 0 (perfect) to 2 (Monthly Weather Review 78, 1950)."""
    wrong = softmax(logits.astype(np.float64), axis=1)
    wrong[np.arange(len(targets)), targets] -= 1
    return float(np.mean(np.sum(wrong**2, axis=1)))


def loss(logits: Floats, targets: Indices) -> float:
    """Mean negative log likelihood, nats."""
    exact = logits.astype(np.float64)
    return float(np.mean(logsumexp(exact, axis=1) - exact[np.arange(len(targets)), targets]))


def fit_temperature(logits: Floats, targets: Indices) -> float | None:
    """The number by which to divide the logits for the smallest loss (arXiv 1706.04599).

    Returns:
        The temperature, above 1 for a model that is too sure of itself; None where every answer is
        right, as the loss then falls for ever as the temperature does.
    """
    step = math.ceil(logits.size / FITTED)  # images may lie sorted by class
    exact, targets = logits[::step].astype(np.float64), targets[::step]
    if np.all(exact.argmax(axis=1) == targets):
        return None
    best = minimize_scalar(lambda x: loss(exact / np.exp(x), targets), bounds=RANGE)
    return float(np.exp(best.x))


def _places(sure: Floats) -> Indices:
    """The bin of each confidence, [N]."""
    return np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
