"""How much less a model reaches on a further test set of the user's than on the first."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, ttest_ind

from vision.evaluation.comparison import Difference
from vision.evaluation.results import ACCURACY, Study
from vision.evaluation.shares import wilson

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Drop:
    """A model's score on both sets, mean over seeds, and how far the second falls behind."""

    first: float
    second: float
    difference: Difference
    """Positive where the second is worse."""


def drop(study: Study, name: str, model: str) -> Drop:
    """Compare a model on the further test set `name` with the study's own, at the largest setting.

    The two are independent samples of images: interval and p-value are of these trained models, and
    of new images like those of either set.
    """
    extra = study.extra(name)
    first = study.merits(model, study.labels[0], "test").mean(axis=0)
    outputs = study.extra_outputs(model, name)
    second = study.score.merits(outputs, extra.targets("test")).mean(axis=0)
    compare = of_shares if study.score is ACCURACY else of_means
    sign = 1 if study.score.higher_is_better else -1
    means = sign * float(first.mean()), sign * float(second.mean())
    return Drop(*means, compare(first, second))


def of_shares(first: Floats, second: Floats) -> Difference:
    """Compare two samples of right (1) and wrong (0) answers, [M] and [N], or of their means over
    seeds: Newcombe's interval (Statistics in Medicine 17, 1998, method 10) and Fisher's exact test.
    Both hold for a handful of images, and where none is wrong."""
    shares, ends = [], []
    for sample in (first, second):
        shares.append(float(sample.mean()))
        ends.append([float(end) for end in wilson(sample.sum(), len(sample))])
    value = shares[0] - shares[1]
    low = value - math.hypot(shares[0] - ends[0][0], ends[1][1] - shares[1])
    high = value + math.hypot(ends[0][1] - shares[0], shares[1] - ends[1][0])
    right = [round(sample.sum()) for sample in (first, second)]
    wrong = [len(first) - right[0], len(second) - right[1]]
    return Difference(value, low, high, float(fisher_exact([right, wrong]).pvalue))


def of_means(first: Floats, second: Floats) -> Difference:
    """Compare the means of two samples of numbers, [M] and [N], by Welch's t-test. A single number
    has no spread, and tells nothing."""
    value = float(first.mean() - second.mean())
    if min(len(first), len(second)) < 2:
        return Difference(value, -math.inf, math.inf, 1.0)
    if first.var() + second.var() == 0:
        return Difference(value, value, value, float(value == 0))
    test = ttest_ind(first, second, equal_var=False)
    found = test.confidence_interval(0.95)
    return Difference(value, float(found.low), float(found.high), float(test.pvalue))
